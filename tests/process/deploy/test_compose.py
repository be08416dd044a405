"""The compose file: hardened, pinned, complete; and its OPA started for real with its own words."""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from admissibility_devtools.tools.places import repository_root
from deploy.build_policy import prepare
from sidecar.opa.client import Address
from sidecar.opa.location import opa_path
from sidecar.resources import versions
from sidecar.service.config import load

ROOT = repository_root()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_every_container_is_read_only_unprivileged_and_not_root() -> None:
    held = {
        name: (
            each.get("read_only"),
            each.get("cap_drop"),
            each.get("security_opt"),
            each.get("user"),
            each.keys() & {"privileged", "cap_add", "devices", "pid", "ipc", "userns_mode"},
            "mem_limit" in each and "pids_limit" in each,
        )
        for name, each in SERVICES.items()
    }
    common = (True, ["ALL"], ["no-new-privileges:true"])
    assert held == {
        "envoy": (*common, "65532:65532", set(), True),
        "gate": (*common, "65532:65532", set(), True),
        "opa": (*common, "65532:65532", set(), True),
        "prometheus": (*common, "65534:65534", set(), True),
    }


def test_every_image_is_pinned_to_the_version_the_tests_ran_with() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    stages = re.findall(r" AS (\S+)$", DOCKERFILE, re.MULTILINE)
    assert ({name: each["image"] for name, each in SERVICES.items()}, bases, stages) == (
        {
            "envoy": f"envoyproxy/envoy:distroless-v{versions.ENVOY}",
            "gate": "admissibility-gate:0.1.0",
            "opa": "admissibility-policy:0.1.0",
            "prometheus": "prom/prometheus:v3.5.0",
        },
        [
            f"openpolicyagent/opa:{versions.OPA}-static",
            "python:3.13.5-slim-bookworm",
            "opa",
            "python:3.13.5-slim-bookworm",
            "gate",
        ],
        ["opa", "build", "policy", "gate", "standalone"],
    )


def test_opa_has_no_network_and_everybody_elses_listener_is_on_loopback() -> None:
    gate = yaml.safe_load((ROOT / "deploy" / "sidecar.yaml").read_text(encoding="utf-8"))
    assert {name: each["network_mode"] for name, each in SERVICES.items()} == {
        "envoy": "host",
        "gate": "host",
        "opa": "none",
        "prometheus": "host",
    }
    assert not any("ports" in each for each in SERVICES.values())
    envoy = (ROOT / "envoy" / "jwt.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"address: ([0-9.]+)", envoy)) == {"127.0.0.1"}
    assert (gate["listen"], gate["metrics"]) == ("127.0.0.1:9191", "127.0.0.1:9464")
    assert "--web.listen-address=127.0.0.1:9090" in SERVICES["prometheus"]["command"]


def mounts() -> list[tuple[str, str]]:
    """Service and source of every mount, with the defaults of the operator's variables."""
    found = []
    for name, service in SERVICES.items():
        for volume in service["volumes"]:
            source = re.sub(r"\$\{[A-Z_]+:-([^}]+)\}", r"\1", volume).split(":")[0]
            found.append((name, source))
    return found


def test_everything_that_is_mounted_or_copied_is_in_the_repository() -> None:
    assert [
        (name, source)
        for name, source in mounts()
        if not (source in COMPOSE["volumes"] or (ROOT / source).exists())
    ] == []
    copied = [
        word
        for line in DOCKERFILE.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    assert copied == [
        "requirements-runtime.txt",
        *("pyproject.toml", "setup.py", "README.md", "sidecar"),
        *("packages", "policies", "envoy", "docs"),
        *("deploy/sidecar.yaml", "deploy/build_policy.py"),
    ]
    assert [path for path in copied if not (ROOT / path).exists()] == []
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert sorted(line[1:] for line in ignored if line.startswith("!")) == sorted(copied)


def test_the_image_runs_no_shell_and_ends_as_a_nobody() -> None:
    steps = re.findall(r"^(?:RUN|CMD|ENTRYPOINT) (.)", DOCKERFILE, re.MULTILINE)
    *_, policy, gate, standalone = DOCKERFILE.split("\nFROM ")
    assert (
        set(steps),
        [re.findall(r"^USER (\S+)$", text, re.M) for text in (policy, gate, standalone)],
    ) == (
        {"["},
        [["65532:65532"]] * 3,
    )


def test_the_decision_log_is_on_a_volume_that_the_gate_may_write_to() -> None:
    gate = yaml.safe_load((ROOT / "deploy" / "sidecar.yaml").read_text(encoding="utf-8"))
    folder = Path(gate["decision_log"]).parent
    assert f"decisions:{folder}" in SERVICES["gate"]["volumes"]
    assert "decisions" in COMPOSE["volumes"]
    assert f"COPY --from=build --chown=65532:65532 /out/state {folder}" in DOCKERFILE


def test_prometheus_looks_where_gate_and_envoy_answer() -> None:
    held = yaml.safe_load((ROOT / "deploy" / "prometheus.yml").read_text(encoding="utf-8"))
    targets = {
        job["job_name"]: (job["metrics_path"], job["static_configs"])
        for job in held["scrape_configs"]
    }
    assert targets == {
        "gate": ("/metrics", [{"targets": ["127.0.0.1:9464"]}]),
        "envoy": ("/stats/prometheus", [{"targets": ["127.0.0.1:9901"]}]),
    }


@pytest.fixture
def built() -> Iterator[Path]:
    """What the image build makes, with a socket folder; short, as a socket's path must be."""
    folder = Path(tempfile.mkdtemp(prefix="adm"))
    prepare(opa_path(), ROOT / "policies", ROOT / "deploy" / "sidecar.yaml", folder / "out")
    yield folder
    shutil.rmtree(folder)


def test_the_image_holds_a_configuration_that_names_the_policies_of_its_twin(built: Path) -> None:
    config = load(built / "out" / "sidecar.yaml")
    remote = config.opa.remote
    assert remote is not None
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", remote.revision)
    assert (remote, config.trust, config.policies) == (
        Address("unix:///run/opa/opa.sock", remote.revision),
        built / "out" / "trust" / "trust.yaml",
        None,
    )


def ask(path: Path, method: str, target: str, body: str | None = None) -> tuple[int, str]:
    with socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(20)
        stream.connect(str(path))
        connection = http.client.HTTPConnection("opa")
        connection.sock = stream
        connection.request(method, target, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8")


def await_health(child: subprocess.Popen[str], path: Path) -> None:
    for _ in range(600):
        assert child.poll() is None, "OPA ended"
        try:
            if ask(path, "GET", "/health")[0] == 200:
                return
        except OSError:
            pass  # no socket yet, or nobody behind it yet
        time.sleep(0.05)
    raise AssertionError("OPA does not answer")


def test_opa_starts_with_the_words_of_the_compose_file_and_is_shut_but_for_the_decision(
    built: Path,
) -> None:
    path = built / "opa.sock"
    words = [
        word.replace("/run/opa/opa.sock", str(path))
        .replace("/bundle.tar.gz", str(built / "out" / "bundle.tar.gz"))
        .replace("/verification.pem", str(built / "out" / "verification.pem"))
        for word in SERVICES["opa"]["command"]
    ]
    child = subprocess.Popen([str(opa_path()), *words], stderr=subprocess.PIPE, text=True)
    try:
        await_health(child, path)
        assert path.stat().st_mode & 0o777 == 0o600
        decision = "/v1/data/admission/decision?strict-builtin-errors=true"
        status, text = ask(path, "POST", decision, '{"input": {"nonce": "n"}}')
        shut = [
            ask(path, method, target, body)[0]
            for method, target, body in (
                ("PUT", "/v1/policies/x", "package x"),
                ("GET", "/v1/data", None),
                ("POST", "/v1/data/system", "{}"),
                ("GET", "/v1/config", None),
            )
        ]
        revision = yaml.safe_load((built / "out" / "sidecar.yaml").read_text())["opa"]["revision"]
        assert (status, shut) == (200, [401] * 4)
        assert f'"revision":"{revision}"' in text
        assert '"allow":false' in text
    finally:
        child.terminate()
        child.communicate(timeout=20)
