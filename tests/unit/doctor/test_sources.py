"""The doctor reads every source, and names the one that cannot be read."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.doctor.diagnosis import Diagnosis, fail, ok, warn
from sidecar.doctor.files import permissions
from sidecar.doctor.sources import evidence_folders, sources
from tests.support.https_server import HttpsServer, serving
from tests.unit.doctor.files import installation
from tests.unit.trust.operator import Operator

REMEDY = (
    "Correct its entry in trust.yaml, the network, or the server; "
    "the rest is kept until it expires."
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpsServer]:
    with serving(tmp_path) as found:
        yield found


def examined(operator: Operator) -> tuple[Diagnosis, ...]:
    return sources(installation(operator))


def test_each_source_that_cannot_be_read_is_named(tmp_path: Path, server: HttpsServer) -> None:
    operator = Operator(tmp_path / "operator")
    for repo in operator.repositories.values():
        repo.publish()
    shutil.copytree(operator.repositories["acme"].folder, server.folder / "acme")
    there = {"url": f"{server.url}/acme", "ca": str(server.ca)}
    operator.value["authorities"][0]["source"] = there
    assert examined(operator) == (ok("sources", "3 can be read from here"),)
    operator.value["evidence"].append({**there, "url": f"{server.url}/evidence"})
    shutil.rmtree(operator.repositories["maker"].folder)
    server.misbehave = lambda handler: handler.path.startswith("/acme")
    assert examined(operator) == (
        fail(
            "source acme",
            f"{server.url}/acme: metadata/timestamp.json: "
            "Remote end closed connection without response",
            REMEDY,
        ),
        fail(
            "source maker",
            f"there is no folder {operator.folder}/authorities/maker",
            REMEDY,
        ),
        fail(
            "source of evidence",
            f"{server.url}/evidence: index.json is not there (HTTP 404)",
            REMEDY,
        ),
    )


def test_a_folder_of_evidence_that_is_not_there_is_named(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "operator")
    operator.value["evidence"] = ["evidence", "evidnce"]
    (operator.folder / "evidence").mkdir(exist_ok=True)
    assert evidence_folders(installation(operator)) == (
        warn(
            "evidence folder",
            f"{operator.folder}/evidnce: there is no such folder, so no evidence is read from it",
            "Correct `evidence` in trust.yaml, or make the folder and put the files there.",
        ),
    )


def test_a_token_that_others_may_read_is_named(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "operator")
    operator.folder.chmod(0o755)
    (operator.folder / "token").write_text("x")
    (operator.folder / "token").chmod(0o640)
    operator.value["evidence"] = [{"url": "https://x.example", "bearer_file": "token"}]
    found = permissions(installation(operator))
    assert f"others may use {operator.folder}/token (0640)" in {one.detail for one in found}


def test_a_nats_server_that_is_gone_is_named_and_so_is_an_open_login(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "operator")
    for repo in operator.repositories.values():
        repo.publish()
    url = "nats://127.0.0.1:1/trust/acme"
    (operator.folder / "nkey").write_text("x")
    operator.value["authorities"][0]["source"] = {"url": url, "nkey_file": "nkey"}
    operator.value["evidence"] = [f"{url}/evidence"]
    (operator.folder / "nkey").chmod(0o640)
    found = permissions(installation(operator))
    assert f"others may use {operator.folder}/nkey (0640)" in {one.detail for one in found}
    operator.value["authorities"][0]["source"] = url
    assert examined(operator) == (
        fail("source acme", f"{url}: metadata/timestamp.json: Connection refused", REMEDY),
        fail("source of evidence", f"{url}/evidence: index.json: Connection refused", REMEDY),
    )
