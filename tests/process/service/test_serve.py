"""``admit serve`` as an operator runs it: real repositories, real OPA, a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import requests
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from sidecar._pb import ext_authz_pb2_grpc as rpc
from sidecar.cli import status as status_module
from sidecar.opa.tree import CAPABILITIES
from tests.process.service.site import Running, Site
from tests.support.gate.bench import reason_of
from tests.support.gate.requests import as_check_request, json_body
from tests.support.simulator.constants import ENV, MODEL
from tests.support.site.processes import children, stop

_PATIENCE_SECONDS = 30.0


def ask(running: Running, **changes: Any) -> str:
    message = as_check_request(**{"credential": running.site.token, **changes})
    with grpc.insecure_channel(running.listen) as channel:
        return reason_of(rpc.AuthorizationStub(channel).Check(message, timeout=20))


def until(reason: str, running: Running, **changes: Any) -> list[str]:
    """Ask until the answer is ``reason``; returns the other answers that came before."""
    end, before = time.monotonic() + _PATIENCE_SECONDS, list[str]()
    while (found := ask(running, **changes)) != reason:
        before.append(found)
        assert time.monotonic() < end, before[-5:]
    return before


def status_of(running: Running) -> dict[str, Any]:
    value: dict[str, Any] = requests.get(running.metrics + "/status", timeout=30).json()
    return value


def decisions(running: Running) -> dict[tuple[str, str], float]:
    """(outcome, reason) → count, as Prometheus reads it."""
    text = requests.get(running.metrics + "/metrics", timeout=30).text
    return {
        (sample.labels["outcome"], sample.labels["reason"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "admissibility_decisions_total"
    }


def test_the_gate_takes_more_connections_than_open_files_it_was_given(site: Site) -> None:
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
    try:
        running = site.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
    host, _, port = running.listen.rpartition(":")
    with running, contextlib.ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(socket.create_connection((host, int(port))))
        assert ask(running) == "admitted"


def test_the_gate_admits_refuses_and_accounts_for_each(site: Site) -> None:
    with site.start() as running:
        found = [ask(running), ask(running, credential=None), ask(running, body=b"{")]
        counted, gate_status = decisions(running), status_of(running)
        assert running.stop() == 0
    assert found == ["admitted", "credential_missing", "malformed_request"]
    assert counted == {
        ("allow", "admitted"): 1.0,
        ("deny", "credential_missing"): 1.0,
        ("deny", "malformed_request"): 1.0,
    }
    lines = [json.loads(line) for line in site.log.read_text().splitlines()]
    assert [entry["reason"] for entry in lines] == found
    assert (gate_status["ready"], gate_status["policy"]["up"]) == (True, True)
    assert [entry["name"] for entry in gate_status["authorities"]] == list(site.world.parties)
    assert lines[0]["revision"] == gate_status["policy"]["revision"]
    assert not running.ready


def test_a_withdrawal_that_is_published_cuts_the_model_off(site: Site) -> None:
    with site.start() as running:
        assert ask(running) == "admitted"
        regulator = site.world.parties["regulator"]
        regulator.withdraw("model", f"openai/{MODEL}")
        site.publish(regulator)
        assert set(until("withdrawn", running)) <= {"admitted"}


def test_an_authority_that_cannot_be_read_is_named_and_takes_nothing_else_down(site: Site) -> None:
    (site.folder / "repositories" / "stranger" / "metadata" / "timestamp.json").unlink()
    with site.start() as running:
        assert ask(running) == "admitted"
        errors = {entry["name"]: entry["error"] for entry in status_of(running)["authorities"]}
    assert [name for name, error in errors.items() if error is not None] == ["stranger"]


def test_a_name_in_the_evidence_folder_writes_no_line_of_the_gates_log(site: Site) -> None:
    """Whoever may put evidence there names the files, and what is left out is told by its name."""
    forged = "x\n2026-11-21 00:00:00,000 INFO sidecar.gate: all is well.json"
    for name in (forged, os.fsdecode(b"\xff\x1b[2J.json")):
        (site.folder / "evidence" / name).symlink_to("/dev/null")
    with site.start() as running:
        assert ask(running) == "admitted"
        lines = running.log.read_bytes().decode("utf-8").splitlines()
    told = [line for line in lines if "a link that leads nowhere or out of the folder" in line]
    assert len(told) == 2
    assert all(" WARNING sidecar.trust: evidence: " in line for line in told)
    assert not any(line.startswith("2026-11-21 00:00:00,000 INFO") for line in lines)


def test_an_authority_that_is_needed_and_cannot_be_read_denies(site: Site) -> None:
    (site.folder / "repositories" / "customer" / "metadata" / "timestamp.json").unlink()
    with site.start() as running:
        assert ask(running) == "trust_stale"


def test_a_killed_opa_denies_and_is_started_again(site: Site) -> None:
    with site.start() as running:
        assert ask(running) == "admitted"
        child = child_of(running.pid)
        stop(child)
        os.kill(child, signal.SIGKILL)
        before = until("admitted", running)
        assert set(before) <= {"policy_unavailable"}
        # A lease may have admitted it before the new OPA is there.
        end = time.monotonic() + _PATIENCE_SECONDS
        while children(running.pid, "opa") in ([], [child]):
            assert time.monotonic() < end
            time.sleep(0.05)
        text = requests.get(running.metrics + "/metrics", timeout=30).text
    assert "admissibility_policy_engine_restarts_total 1.0" in text


def child_of(pid: int) -> int:
    """The one OPA of a gate."""
    (child,) = children(pid, "opa")
    return child


def test_nothing_of_it_is_left_after_either_signal(site: Site) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with site.start() as running:
            pid = running.pid
            left = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            assert len(left) == 2  # OPA, and a process for large bodies
            assert running.stop(number) == 0
        assert [child for child in left if Path(f"/proc/{child}").exists()] == []


def test_what_a_killed_gate_left_is_removed_by_the_next(site: Site) -> None:
    # A path of a test may be too long for a socket.
    with tempfile.TemporaryDirectory(prefix="run") as run:
        site.configure(opa={"managed": {"directory": run}})
        with site.start() as killed:
            (left,) = Path(run).iterdir()
            os.kill(killed.pid, signal.SIGKILL)
            killed.wait()
        assert [*Path(run).iterdir()] == [left]
        with site.start() as running:
            (found,) = Path(run).iterdir()
            assert found != left
            assert ask(running) == "admitted"
        assert [*Path(run).iterdir()] == []


def test_a_large_body_is_decided_like_any_other(site: Site) -> None:
    with site.start() as running:
        body = json_body(user="x" * 10_000_000)
        assert ask(running, body=body) == "admitted"
        assert ask(running, body=body[:-1]) == "malformed_request"


# ---- not serving ---------------------------------------------------------------------------------


def refusal(site: Site) -> str:
    """What ``admit serve`` says in the one line before it exits with 2."""
    running = Running(site).spawn()
    assert running.wait() == 2
    lines = [line for line in running.log.read_text().splitlines() if "admit serve:" in line]
    assert len(lines) == 1
    assert "Traceback" not in running.log.read_text()
    assert not running.ready
    return lines[0].removeprefix("admit serve: ").replace(str(site.folder), "SITE")


def no_root(site: Site) -> None:
    (site.folder / "customer.root.json").unlink()


def broken_trust(site: Site) -> None:
    site.trust.write_text("authorities: []\nversion: 1\n")


def no_trust(site: Site) -> None:
    site.configure(trust="none.yaml")


def no_binary(site: Site) -> None:
    site.configure(opa={"managed": {"binary": "no-opa"}})


def no_policies(site: Site) -> None:
    site.configure(policies="none")


def broken_policies(site: Site) -> None:
    folder = site.folder / "policies"
    folder.mkdir()
    (folder / CAPABILITIES).write_text('{"builtins": []}')
    (folder / "x.rego").write_text("package x\n\nthis is no rego\n")
    site.configure(policies="policies")


def no_log(site: Site) -> None:
    site.configure(decision_log="none/log.jsonl")


def typo(site: Site) -> None:
    site.configure(dead_line=1)


@pytest.mark.parametrize(
    ("breaks", "beginning"),
    [
        (no_root, "SITE/trust.yaml: "),
        (broken_trust, "SITE/trust.yaml: "),
        (no_trust, "SITE/none.yaml: "),
        (no_binary, "SITE/no-opa cannot be run: "),
        (no_policies, "SITE/none: there is no such folder"),
        (broken_policies, "OPA refuses the policies: "),
        (no_log, "decision_log: SITE/none/log.jsonl: No such file or directory"),
        (typo, "SITE/sidecar.yaml: dead_line: is not a known key; did you mean 'deadline_ms'?"),
    ],
)
def test_what_is_missing_or_broken_is_said_and_nothing_is_served(
    site: Site, breaks: Callable[[Site], None], beginning: str
) -> None:
    breaks(site)
    assert refusal(site).startswith(beginning)


def test_a_socket_that_everybody_can_speak_to_is_refused(site: Site) -> None:
    path = site.folder / "opa.sock"
    site.configure(opa={"address": f"unix://{path}", "revision": "r"})
    path.write_text("no socket")
    expected = (
        "opa.address: unix://SITE/opa.sock is not a socket, or any local"
        " user may connect to it; give it mode 0660 or less"
    )
    assert refusal(site) == expected
    path.unlink()
    with socket.socket(socket.AF_UNIX) as open_to_all:
        open_to_all.bind(os.path.relpath(path))  # a path of a test may be too long for a socket
        path.chmod(0o777)
        assert refusal(site) == expected


@pytest.mark.parametrize("key", ["listen", "metrics"])
def test_a_port_in_use_is_said_and_nothing_is_left(site: Site, key: str) -> None:
    # A path of a test may be too long for a socket.
    with socket.socket() as taken, tempfile.TemporaryDirectory(prefix="run") as run:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        site.configure(**{key: address}, opa={"managed": {"directory": run}})
        assert refusal(site).startswith(f"{key}: {address}: ")
        assert list(Path(run).iterdir()) == []


# ---- what others ask -----------------------------------------------------------------------------


def app() -> typer.Typer:
    found = typer.Typer()
    found.command()(status_module.status)
    found.command()(status_module.health)
    return found


def test_status_and_health_tell_how_a_running_gate_stands(site: Site) -> None:
    with site.start() as running:
        told = CliRunner().invoke(app(), ["status", "--url", running.metrics, "--json"])
        table = CliRunner().invoke(app(), ["status", "--url", running.metrics])
        found = CliRunner().invoke(app(), ["status", "--config", str(site.config)])
        serving = CliRunner().invoke(app(), ["health", "--config", str(site.config)])
        healthy = CliRunner().invoke(app(), ["health", "--gate", running.listen])
        probe = requests.get(running.metrics + "/healthz", timeout=30)
    away = CliRunner().invoke(app(), ["health", "--gate", running.listen])
    nobody = CliRunner().invoke(app(), ["status", "--url", running.metrics])
    assert (told.exit_code, json.loads(told.stdout)["ready"]) == (0, True)
    assert (table.exit_code, "ready, version 0.1.0, trust epoch" in table.stdout) == (0, True)
    assert (found.exit_code, found.stdout.splitlines()[0]) == (0, table.stdout.splitlines()[0])
    assert (serving.exit_code, serving.stdout) == (0, healthy.stdout)
    assert (healthy.exit_code, healthy.stdout) == (0, f"{running.listen}: SERVING\n")
    assert (probe.status_code, probe.json()) == (200, {"ready": True})
    assert (away.exit_code, away.stdout) == (1, f"{running.listen}: UNREACHABLE (UNAVAILABLE)\n")
    assert nobody.exit_code == 2


def test_a_gate_that_cannot_record_says_so_as_it_denies(site: Site) -> None:
    site.configure(decision_log="/dev/full")
    with site.start() as running:
        until("internal_error", running)
        assert status_of(running)["decision_log"] == {"writable": False}
        table = CliRunner().invoke(app(), ["status", "--url", running.metrics])
    assert "the decision log cannot be written: every call is denied" in table.stdout


def test_a_gate_whose_opa_never_answers_is_never_ready(site: Site) -> None:
    """It listens, denies with a reason, and says that it is not serving."""
    site.configure(opa={"address": "unix:///nowhere/opa.sock", "revision": "r"}, policies=None)
    with Running(site).spawn() as running:
        running.await_listening()
        with grpc.insecure_channel(running.listen) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=60, wait_for_ready=True
            )
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        until("policy_unavailable", running)
        assert not running.ready
        value = status_of(running)
        causes = ["the policy engine has not answered yet"]
        assert (value["ready"], value["not_ready"]) == (False, causes)
        assert running.stop() == 0


def test_another_environment_is_unknown(site: Site) -> None:
    with site.start() as running:
        other = site.issuer.jwt_svid(ENV + "2", site.now)
        assert ask(running, credential=other) == "environment_unknown"
        assert ask(running, body=json_body(model="ft:unbound")) == "manifest_missing"
