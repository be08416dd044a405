"""A gate does not go on without a part that it needs: where one fails, the process ends."""

from __future__ import annotations

import asyncio

from sidecar.service.startup import start_required
from sidecar.service.status import GateStatus


async def _fail() -> None:
    raise ValueError("not expected")


def test_a_watch_that_fails_makes_the_gate_not_ready_and_is_named() -> None:
    async def story() -> GateStatus:
        status = GateStatus(started=True)
        await asyncio.gather(
            start_required(_fail(), "the watch of the clock", status), return_exceptions=True
        )
        return status

    status = asyncio.run(story())
    assert (status.ready, status.failed) == (False, "the watch of the clock")
    assert status.not_ready(()) == ("the watch of the clock failed",)


def test_a_watch_that_is_cancelled_at_the_end_of_the_gate_has_not_failed() -> None:
    async def story() -> GateStatus:
        status = GateStatus(started=True)
        task = start_required(asyncio.sleep(60), "the watch of the clock", status)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return status

    assert asyncio.run(story()).failed == ""
