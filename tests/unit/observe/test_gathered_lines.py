"""Under load several lines of the decision log are one write, whatever iteration they come in."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from sidecar.observe import decision_log
from sidecar.observe.decision_log import DecisionLog
from tests.unit.observe.samples import admitted


def test_lines_soon_after_a_write_are_gathered_until_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decision_log, "_GATHER_SECONDS", 0.3)
    writes = list[int]()

    def counted(file: int, data: bytes) -> int:
        writes.append(data.count(b"\n"))
        return os.write(file, data)

    async def story() -> None:
        log = DecisionLog(str(tmp_path / "log.jsonl"), lambda _: None, counted)
        assert await log.record(admitted())
        later = []
        for _ in range(3):  # each in an iteration of its own
            later.append(asyncio.ensure_future(log.record(admitted())))
            await asyncio.sleep(0)
        assert await asyncio.gather(*later) == [True] * 3
        log.close()

    asyncio.run(story())
    assert writes == [1, 3]
