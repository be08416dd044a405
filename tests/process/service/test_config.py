"""``sidecar.yaml``: defaults, relative paths, and one line for each mistake."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from sidecar.gate.authorization import Limits
from sidecar.gate.settings import Settings
from sidecar.opa.bundle import Folder, SignedFile
from sidecar.opa.client import Address
from sidecar.service.config import (
    ConfigError,
    ManagedOpa,
    OpaConfig,
    RegistrationSettings,
    SidecarConfig,
    SignedPolicies,
    load,
)

ADDRESS = "is not HOST:PORT, with a port up to 65535"
LEAST = {"trust": "trust.yaml", "policies": "../policies"}


def write(folder: Path, value: Any) -> Path:
    path = folder / "sidecar.yaml"
    path.write_text(value if isinstance(value, str) else yaml.safe_dump(value))
    return path


def mistake(folder: Path, value: Any) -> str:
    """The message, without the file's name."""
    path = write(folder, value)
    with pytest.raises(ConfigError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_a_minimal_configuration_has_these_defaults(tmp_path: Path) -> None:
    config = load(write(tmp_path, LEAST))
    assert config == SidecarConfig(
        listen="127.0.0.1:9191",
        metrics="127.0.0.1:9464",
        trust=tmp_path / "trust.yaml",
        audience="admissibility-gate",
        credential_header="x-environment-credential",
        policies=tmp_path / "../policies",
        opa=OpaConfig(managed=ManagedOpa()),
        deadline_ms=1000,
        max_concurrent=256,
        stop_seconds=60,
        max_body_bytes=26 << 20,
        max_body_bytes_in_flight=256 << 20,
        open_operations=(),
        registration=None,
        decision_log="-",
        facts_log=None,
        ready_file=None,
        reuse_port=False,
    )
    assert config.source == Folder(tmp_path / "../policies")
    assert config.settings == Settings("admissibility-gate", "x-environment-credential", 26 << 20)
    assert config.limits == Limits(1.0, 256, max(16, 8 * (os.cpu_count() or 1)))
    assert config.opa.remote is None


def test_every_path_is_relative_to_the_file(tmp_path: Path) -> None:
    config = load(
        write(
            tmp_path,
            {
                **LEAST,
                "opa": {"managed": {"binary": "bin/opa", "directory": "run"}},
                "decision_log": "log.jsonl",
                "facts_log": "facts.jsonl",
                "registration": {"folder": "objects", "key": "keys/objects.pem"},
                "ready_file": "ready.json",
                "policies": {"bundle": "p.tar.gz", "verification_key": "keys/p.pem"},
            },
        )
    )
    assert config.policies == SignedPolicies(
        bundle=tmp_path / "p.tar.gz", verification_key=tmp_path / "keys/p.pem"
    )
    assert config.source == SignedFile(tmp_path / "p.tar.gz", tmp_path / "keys/p.pem")
    assert config.facts_log == tmp_path / "facts.jsonl"
    assert config.registration == RegistrationSettings(
        folder=tmp_path / "objects",
        key=tmp_path / "keys/objects.pem",
        expires_days=30,
        max_batch_bytes=20 << 20,
    )
    assert config.opa == OpaConfig(
        managed=ManagedOpa(binary=tmp_path / "bin/opa", directory=tmp_path / "run")
    )
    assert (config.decision_log, config.ready_file) == (
        str(tmp_path / "log.jsonl"),
        tmp_path / "ready.json",
    )


def test_a_key_given_twice_is_an_error_and_not_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.yaml"
    path.write_text("trust: a.yaml\npolicies: p\ntrust: b.yaml\n")
    with pytest.raises(ConfigError, match="the key 'trust' is given twice"):
        load(path)


@pytest.mark.parametrize("url", ["unix:///run/opa.sock", "http://127.0.0.1:8181"])
def test_an_opa_of_somebody_else_needs_no_policies(tmp_path: Path, url: str) -> None:
    config = load(write(tmp_path, {"trust": "t", "opa": {"address": url, "revision": "r"}}))
    assert config.opa.remote == Address(url, "r")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lissten": "x"}, "lissten: is not a known key; did you mean 'listen'?"),
        ({"trust": None}, "trust: Input should be a path"),
        ({"listen": "127.0.0.1"}, f"listen: '127.0.0.1' {ADDRESS}"),
        ({"listen": "127.0.0.1:99999"}, f"listen: '127.0.0.1:99999' {ADDRESS}"),
        ({"listen": "unix://gate.sock"}, "listen: must be unix:///PATH of at most 100 bytes"),
        ({"listen": "unix:///" + "a" * 100}, "listen: must be unix:///PATH of at most 100 bytes"),
        ({"metrics": "unix:///metrics.sock"}, f"metrics: 'unix:///metrics.sock' {ADDRESS}"),
        ({"metrics": "a b:1"}, f"metrics: 'a b:1' {ADDRESS}"),
        (
            {"credential_header": "host"},
            "credential_header: must be a header name of [a-z0-9-] that HTTP and Envoy do not use",
        ),
        (
            {"credential_header": "a b"},
            "credential_header: must be a header name of [a-z0-9-] that HTTP and Envoy do not use",
        ),
        ({"audience": ""}, "audience: String should have at least 1 character"),
        ({"deadline_ms": 0}, "deadline_ms: Input should be greater than or equal to 10"),
        ({"max_concurrent": 0}, "max_concurrent: Input should be greater than or equal to 1"),
        ({"registration": {"folder": "objects"}}, "registration.key: Field required"),
        (
            {"registration": {"folder": "f", "key": "k", "expires_days": 0}},
            "registration.expires_days: Input should be greater than or equal to 1",
        ),
        (
            {"policies": None},
            "a managed OPA needs `policies`: a folder, such as `admit policy copy` makes",
        ),
        (
            {"policies": {"bundle": "p.tar.gz"}},
            "policies.bundle.verification_key: Field required",
        ),
        (
            {"policies": {"bundle": "p", "verification_key": "k", "key": "k"}},
            "policies.bundle.key: is not a known key; known here: bundle, verification_key",
        ),
        ({"policies": 3}, "policies.folder: Input should be a path"),
        (
            {
                "policies": {"bundle": "p", "verification_key": "k"},
                "opa": {"address": "unix:///x", "revision": "r"},
            },
            "an OPA at `address` verifies its own bundle; remove it from policies",
        ),
        ({"opa": {}}, "opa: give either managed or address"),
        (
            {"opa": {"managed": {}, "address": "unix:///x", "revision": "r"}},
            "opa: give either managed or address",
        ),
        (
            {"opa": {"address": "unix:///x"}},
            "opa: give address together with revision, and revision only with address",
        ),
        (
            {"opa": {"managed": {}, "revision": "r"}},
            "opa: give address together with revision, and revision only with address",
        ),
        (
            {"opa": {"address": "https://x.example", "revision": "r"}},
            "opa.address: must be unix:///PATH or http://HOST:PORT",
        ),
        (
            {"max_body_bytes": 4096, "max_body_bytes_in_flight": 4095},
            "max_body_bytes_in_flight is less than one body of max_body_bytes",
        ),
        (
            {"opa": {"managed": {"x": 1}}},
            "opa.managed.x: is not a known key; known here: binary, directory",
        ),
    ],
)
def test_a_mistake_is_one_line_with_its_place(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    assert mistake(tmp_path, {**LEAST, **changes}) == message


def test_a_file_that_is_no_mapping_is_reported(tmp_path: Path) -> None:
    expected = "is not a mapping; it begins with 'trust: trust.yaml'"
    assert mistake(tmp_path, "- x") == expected
    assert mistake(tmp_path, "") == expected
    assert mistake(tmp_path, "a: [").startswith("line 1: expected the node content")
    assert mistake(tmp_path, "#" * (1 << 20) + "\n\n") == "larger than 1048576 bytes"


def test_a_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.yaml")
    assert str(caught.value) == f"{tmp_path / 'none.yaml'}: No such file or directory"
