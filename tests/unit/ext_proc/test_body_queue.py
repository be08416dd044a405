"""Large bodies arrive in order, within a bound of bytes, and wait for a bounded time."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.ext_proc.body_queue import BodyQueue


async def entered(queue: BodyQueue, order: list[int], size: int) -> None:
    await queue.enter(size)
    order.append(size)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_bodies_wait_in_order_of_arrival_and_a_small_one_overtakes_none() -> None:
    async def run() -> None:
        queue, order = BodyQueue(10), list[int]()
        async with asyncio.TaskGroup() as tasks:
            for size in (6, 7, 1, 2):
                tasks.create_task(entered(queue, order, size))
            await settle()
            assert (order, queue.taken) == ([6], 6)
            queue.leave(6)
            await settle()
            assert (order, queue.taken) == ([6, 7, 1, 2], 10)

    asyncio.run(run())


def test_a_body_above_the_bound_arrives_alone() -> None:
    async def run() -> None:
        queue, order = BodyQueue(10), list[int]()
        await queue.enter(11)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(entered(queue, order, 1))
            await settle()
            assert order == []
            queue.leave(11)

    asyncio.run(run())


@pytest.mark.parametrize(
    "queue", [BodyQueue(10, max_waiting=0), BodyQueue(10, wait_seconds=0.0)], ids=["many", "long"]
)
def test_what_cannot_wait_is_refused_with_a_reason_and_takes_nothing(
    queue: BodyQueue,
) -> None:
    async def run() -> None:
        await queue.enter(10)
        with pytest.raises(AdmissibilityError) as caught:
            await queue.enter(1)
        assert caught.value.reason is Reason.OVERLOADED
        queue.leave(10)
        assert queue.taken == 0
        await queue.enter(10)

    asyncio.run(run())


@pytest.mark.parametrize("let_in", [False, True])
def test_a_client_that_goes_away_while_it_waits_leaves_its_turn_to_the_next(let_in: bool) -> None:
    async def run() -> None:
        queue, order = BodyQueue(10), list[int]()
        await queue.enter(10)
        gone = asyncio.create_task(queue.enter(9))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(entered(queue, order, 8))
            await settle()
            if let_in:
                queue.leave(10)  # its turn comes at the moment at which it goes away
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone
            if not let_in:
                queue.leave(10)
        assert (order, queue.taken) == ([8], 8)

    asyncio.run(run())
