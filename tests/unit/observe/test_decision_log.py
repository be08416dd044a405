"""The decision log: whole lines, escaped and cut, and nothing admitted that it cannot keep."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.observe import decision_log
from sidecar.observe.decision_log import DecisionLog, line, record
from tests.support.simulator.world import MODEL
from tests.unit.observe.samples import admitted, outcome, unread, violating, withdrawn

CONSTITUENTS = ["customer", "evaluator", "producer", "provider", "regulator"]


def expected(**changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "id": "d-1",
        "time": "2026-06-01T12:00:00Z",
        "outcome": "deny",
        "step": None,
        "missing": [],
        "withdrawn": None,
        "provider": "openai",
        "operation": "chat.completions",
        "method": "POST",
        "path": "/v1/chat/completions",
        "models": [MODEL],
        "tuned": [],
        "specification": None,
        "environment": "spiffe://acme.example/env/prod",
        "credential": "jwt-svid",
        "jurisdictions": ["eu"],
        "deployments": [],
        "constituents": CONSTITUENTS,
        "of_record": [],
        "violations": [],
        "warnings": [],
        "revision": "",
        "epoch": 1,
        "lease_until": "2026-06-01T12:00:00Z",
        "request_id": "1234",
        "duration_us": 3000,
    }
    return {**value, **changes}


def test_an_allow_says_what_it_relies_on() -> None:
    found = admitted()
    assert found.decision.assessment is not None
    assert record(found) == expected(
        outcome="allow",
        reason="admitted",
        detail="admitted",
        manifests=list(found.decision.assessment.manifests),
        revision="r-1",
        lease_until="2026-06-01T12:00:30Z",
    )


def test_a_withdrawal_is_told_with_kind_subject_and_authority() -> None:
    found = withdrawn()
    assert found.decision.assessment is not None
    assert record(found) == expected(
        reason="withdrawn",
        detail=f"{MODEL}: regulator withdrew model openai/{MODEL}: shown to be unfit",
        step=6,
        manifests=list(found.decision.assessment.manifests),
        withdrawn={
            "kind": "model",
            "subject": f"openai/{MODEL}",
            "authority": "regulator",
            "reason": "shown to be unfit",
        },
    )


def test_broken_rules_are_told_by_code() -> None:
    found = violating()
    assert found.decision.assessment is not None
    assert record(found) == expected(
        reason="jurisdiction_denied",
        detail="eu.art10: no corpus",
        manifests=list(found.decision.assessment.manifests),
        violations=["eu.art10"],
        revision="r-1",
    )


def test_a_request_that_could_not_be_read_has_every_key_too() -> None:
    found = record(unread())
    assert found == expected(
        id="d-2",
        reason="malformed_request",
        detail="a header twice",
        provider="",
        operation=None,
        method="",
        path="",
        models=[],
        environment=None,
        credential=None,
        jurisdictions=[],
        manifests=[],
        constituents=[],
        epoch=0,
        request_id="",
    )
    assert list(found) == list(record(admitted()))


def test_what_a_client_sent_cannot_begin_a_line_of_its_own() -> None:
    path = '/a\n{"outcome":"allow"}\r\u2028\x00\x1b[31m' + "x" * 5000
    data = line(outcome(unread().decision, path=path))
    assert data.count(b"\n") == 1
    assert data.endswith(b"}\n")
    assert data.isascii()
    assert all(byte >= 0x20 for byte in data[:-1])
    assert json.loads(data)["path"] == path[:512] + "…"


def test_lines_are_appended_and_flushed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("before\n")
    log = DecisionLog(str(path), lambda _: None)
    found = admitted()
    for _ in range(500):
        log.put(found)
    log.close()
    lines = path.read_bytes().splitlines(keepends=True)
    assert lines == [b"before\n", *[line(found)] * 500]


def test_a_new_log_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    DecisionLog(str(path), lambda _: None).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DecisionLog(str(tmp_path / "none" / "log.jsonl"), lambda _: None)


class Disk:
    """Stands between the log and the disk: full until it is given room."""

    def __init__(self) -> None:
        self.refused, self.in_flight = threading.Event(), threading.Event()

    def write(self, file: int, data: bytes) -> int:
        if self.in_flight.is_set():
            return os.write(file, data[:100])  # a little at a time
        self.refused.set()
        raise OSError(28, "No space left on device")


def test_a_full_disk_loses_nothing_and_admits_nothing(tmp_path: Path) -> None:
    disk, lost, path = Disk(), list[int](), tmp_path / "log.jsonl"
    log = DecisionLog(str(path), lost.append, disk.write)
    assert log.ready()
    log.put(admitted())
    assert disk.refused.wait(30)
    log.put(withdrawn())
    unready = log.ready()
    disk.in_flight.set()
    log.close()
    assert (unready, log.ready(), lost) == (False, True, [])
    assert path.read_bytes() == line(admitted()) + line(withdrawn())


def test_the_end_does_not_wait_for_a_full_disk(tmp_path: Path) -> None:
    disk, lost = Disk(), list[int]()
    log = DecisionLog(str(tmp_path / "log.jsonl"), lost.append, disk.write)
    log.put(admitted())
    assert disk.refused.wait(30)
    log.put(admitted())
    log.close()
    assert (sum(lost), log.ready()) == (2, False)


def test_a_full_queue_drops_denials_and_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_log, "_QUEUE_LINES", 4)
    disk, lost, path = Disk(), list[int](), tmp_path / "log.jsonl"
    log = DecisionLog(str(path), lost.append, disk.write)
    log.put(unread())
    assert disk.refused.wait(30)
    for _ in range(6):
        log.put(unread())
    unready = log.ready()
    disk.in_flight.set()
    log.close()
    assert (unready, lost) == (False, [1, 1])
    assert path.read_bytes() == line(unread()) * 5


def test_a_decision_that_cannot_be_put_in_words_stops_admission(tmp_path: Path) -> None:
    lost: list[int] = []
    log = DecisionLog(str(tmp_path / "log.jsonl"), lost.append)
    log.put(replace(admitted(), path=None))  # type: ignore[arg-type]
    log.put(withdrawn())
    log.close()
    assert (log.ready(), lost) == (False, [1])
    assert (tmp_path / "log.jsonl").read_bytes() == line(withdrawn())
