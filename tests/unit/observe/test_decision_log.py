"""The decision log: whole lines, escaped and cut, and nothing admitted that it cannot keep."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.observe import decision_log
from sidecar.observe.decision_log import DecisionLog
from sidecar.observe.decision_record import line, record
from tests.support.simulator.constants import MODEL
from tests.unit.observe.samples import admitted, ending, outcome, unread, violating, withdrawn

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
        "sandbox": False,
        "method": "POST",
        "path": "/v1/chat/completions",
        "models": [MODEL],
        "tuned": [],
        "ignored": [],
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
        "announced_end": None,
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


def test_an_announced_end_is_recorded_with_the_calls_that_rely_on_it() -> None:
    assert record(ending())["announced_end"] == {
        "at": "2026-08-29T12:00:00Z",
        "what": "announced withdrawal",
        "whose": "provider",
    }


def test_a_withdrawal_is_reported_with_kind_subject_and_authority() -> None:
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


Write = Callable[[int, bytes], int]


@contextlib.contextmanager
def opened(path: Path, lost: list[int], write: Write = os.write) -> Iterator[DecisionLog]:
    log = DecisionLog(str(path), lost.append, write)
    try:
        yield log
    finally:
        log.close()


async def written(log: DecisionLog, count: int = 1) -> list[bool]:
    """Record allows at the same time; return whether each may be answered."""
    return list(await asyncio.gather(*(log.record(admitted()) for _ in range(count))))


def test_an_allow_is_answered_after_its_line_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("before\n")

    async def story() -> list[bytes]:
        with opened(path, []) as log:
            assert await written(log) == [True]
            return path.read_bytes().splitlines(keepends=True)

    assert asyncio.run(story()) == [b"before\n", line(admitted())]


def test_the_end_writes_the_denials_that_wait(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"

    async def story() -> None:
        with opened(path, []) as log:
            assert await written(log, 2) == [True] * 2
            log.put(withdrawn())
            log.put(withdrawn())
            assert path.read_bytes() == line(admitted()) * 2

    asyncio.run(story())
    assert path.read_bytes() == line(admitted()) * 2 + line(withdrawn()) * 2


def test_a_new_log_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    DecisionLog(str(path), lambda _: None).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DecisionLog(str(tmp_path / "none" / "log.jsonl"), lambda _: None)


@contextlib.contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Let this process write no file beyond ``size`` bytes, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def again(log: DecisionLog) -> None:
    """Wait until the log can be written."""
    async with asyncio.timeout(30):
        while not log.ready():  # noqa: ASYNC110 - a retry sets no event
            await asyncio.sleep(0.01)


def test_a_full_disk_admits_nothing_cuts_no_line_and_loses_no_denial(tmp_path: Path) -> None:
    path, lost = tmp_path / "log.jsonl", list[int]()
    fits = line(admitted())

    async def story() -> tuple[list[bool], bool, bytes]:
        with opened(path, lost) as log:
            with disk_of(len(fits) + len(fits) // 2):
                recorded = await written(log) + await written(log)
                log.put(withdrawn())
                full = log.ready(), path.read_bytes()
            await again(log)
            recorded += await written(log)
            return recorded, *full

    assert asyncio.run(story()) == ([True, False, True], False, fits)
    assert (path.read_bytes(), lost) == (fits + line(withdrawn()) + fits, [])


def test_the_end_does_not_wait_for_a_full_disk(tmp_path: Path) -> None:
    lost: list[int] = []

    async def story() -> list[bool]:
        with disk_of(0), opened(tmp_path / "log.jsonl", lost) as log:
            recorded = await written(log)
            log.put(withdrawn())
            log.put(withdrawn())
            return recorded

    assert (asyncio.run(story()), lost) == ([False], [2])


def test_a_full_queue_drops_denials_and_counts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_log, "_QUEUE_LINES", 4)
    path, lost = tmp_path / "log.jsonl", list[int]()

    async def story() -> bool:
        with opened(path, lost) as log:
            for _ in range(6):
                log.put(unread())
            return log.ready()

    assert (asyncio.run(story()), lost) == (False, [1, 1])
    assert path.read_bytes() == line(unread()) * 4


def test_a_decision_that_cannot_be_serialized_stops_admission(tmp_path: Path) -> None:
    lost: list[int] = []

    async def story() -> tuple[bool, bool]:
        with opened(tmp_path / "log.jsonl", lost) as log:
            recorded = await log.record(replace(admitted(), path=None))  # type: ignore[arg-type]
            log.put(withdrawn())
            return recorded, log.ready()

    assert (asyncio.run(story()), lost) == ((False, False), [1])
    assert (tmp_path / "log.jsonl").read_bytes() == line(withdrawn())


def test_a_renamed_log_is_opened_anew_and_what_was_written_stays_in_the_old_one(
    tmp_path: Path,
) -> None:
    path, older = tmp_path / "log.jsonl", tmp_path / "log.jsonl.1"

    async def story() -> list[bool]:
        with opened(path, []) as log:
            first = await written(log)
            path.rename(older)
            return first + await written(log, 2)

    assert asyncio.run(story()) == [True] * 3
    assert (older.read_bytes(), path.read_bytes()) == (line(admitted()), line(admitted()) * 2)


def test_a_log_removed_while_it_is_written_has_the_line_in_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"

    def removed(file: int, data: bytes) -> int:
        taken = os.write(file, data)
        if os.fstat(file).st_size == 2 * len(line(admitted())):
            path.unlink()  # after the check of the path, before the lines count as written
        return taken

    async def story() -> list[bool]:
        with opened(path, [], removed) as log:
            return await written(log) + await written(log)

    assert asyncio.run(story()) == [True, True]
    assert path.read_bytes() == line(admitted())


def test_a_log_whose_folder_is_gone_admits_nothing_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()

    async def story() -> list[bool]:
        with opened(folder / "log.jsonl", []) as log:
            recorded = await written(log)
            folder.rename(tmp_path / "away")
            recorded += await written(log)
            folder.mkdir()
            await again(log)
            return recorded + await written(log)

    assert asyncio.run(story()) == [True, False, True]


def test_two_processes_share_a_log_without_merging_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_log, "BUSY_PATIENCE", 60.0)
    path = tmp_path / "log.jsonl"
    held = os.open(path, os.O_WRONLY | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)

    async def story() -> list[bool]:
        with opened(path, []) as log:
            waiting = asyncio.ensure_future(written(log))
            await asyncio.sleep(0.3)  # it waits for a processor, or for the disk
            assert (path.read_bytes(), waiting.done()) == (b"", False)
            os.close(held)
            recorded = await waiting
            monkeypatch.setattr(decision_log, "BUSY_PATIENCE", 0.05)
            other = os.open(path, os.O_WRONLY)
            fcntl.flock(other, fcntl.LOCK_EX)  # by a process that hangs
            recorded += await written(log)
            os.close(other)
            return recorded

    assert asyncio.run(story()) == [True, False]


def test_a_full_pipe_is_waited_for_and_a_reader_gets_whole_lines_in_order(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)

    async def drain(until: int) -> bytes:
        found = b""
        while len(found) < until:
            with contextlib.suppress(BlockingIOError):
                found += os.read(reader, 1000)
            await asyncio.sleep(0)
        return found

    async def story() -> tuple[list[bool], bytes]:
        size = 50 * len(line(admitted()))
        with opened(path, []) as log:
            async with asyncio.timeout(30):
                recorded, found = await asyncio.gather(written(log, 50), drain(size))
            return recorded, found

    assert asyncio.run(story()) == ([True] * 50, line(admitted()) * 50)
    os.close(reader)


def test_a_pipe_nobody_reads_admits_nothing_and_takes_no_part_of_a_line(
    tmp_path: Path,
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)

    async def story() -> tuple[list[bool], bytes]:
        with opened(path, []) as log:
            recorded = await written(log, 20)
            log.put(withdrawn())
            found = os.read(reader, 1 << 16)
            await again(log)
            return recorded, found + os.read(reader, 1 << 16)

    recorded, found = asyncio.run(story())
    whole = sum(recorded)
    assert 0 < whole < 20
    assert found == line(admitted()) * whole + line(withdrawn())
    os.close(reader)
