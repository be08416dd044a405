"""Lines of the decision log are one write where they follow each other, or where denials wait."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from sidecar.observe import decision_log
from sidecar.observe.decision_log import DecisionLog
from sidecar.observe.decision_record import line
from tests.unit.observe.samples import admitted, withdrawn


@pytest.fixture
def writes() -> list[int]:
    """The number of lines of each write."""
    return []


@pytest.fixture
def log(tmp_path: Path, writes: list[int]) -> DecisionLog:
    def counted(file: int, data: bytes) -> int:
        writes.append(data.count(b"\n"))
        return os.write(file, data)

    return DecisionLog(str(tmp_path / "log.jsonl"), lambda _: None, counted)


def test_the_line_of_an_allow_that_comes_by_itself_is_written_without_waiting(
    log: DecisionLog, writes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_log, "_CLOSE_SECONDS", -1)

    async def story() -> None:
        for number in range(1, 4):
            waiting = log.record(admitted())
            with pytest.raises(StopIteration) as ended:
                waiting.send(None)
            assert (ended.value.value, writes) == (True, [1] * number)
        log.close()

    asyncio.run(story())


def test_lines_that_follow_each_other_closely_are_one_write(
    log: DecisionLog, writes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_log, "_CLOSE_SECONDS", 60)

    async def story() -> None:
        for _ in range(2):  # one that comes by itself, and the first that follows it
            assert await log.record(admitted())
        found = await asyncio.gather(*(log.record(admitted()) for _ in range(3)))
        assert found == [True] * 3
        log.close()

    asyncio.run(story())
    assert writes == [1, 1, 3]


def test_the_line_of_an_allow_comes_after_those_of_denials_that_wait(
    log: DecisionLog, writes: list[int], tmp_path: Path
) -> None:
    async def story() -> None:
        log.put(withdrawn())
        log.put(withdrawn())
        assert await log.record(admitted())
        log.close()

    asyncio.run(story())
    assert writes == [3]
    lines = (tmp_path / "log.jsonl").read_bytes()
    assert lines == line(withdrawn()) * 2 + line(admitted())
