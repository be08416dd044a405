"""Requests that arrive close together are decided together, in order of arrival."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from sidecar.gate import arrivals as module
from sidecar.gate.arrivals import Arrivals
from tests.support.gate.bench import Broken, reason_of, running
from tests.support.gate.requests import as_check_request
from tests.support.simulator.constants import ENV, NOW

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every request close to the last one, and a wait end by number alone."""
    monkeypatch.setattr(module, "CLOSE_SECONDS", 60)
    monkeypatch.setattr(module, "GATHER_SECONDS", 60)


def run(story: Coroutine[Any, Any, T]) -> T:
    """Run a story that ends at once, or never where a request is forgotten."""
    return asyncio.run(asyncio.wait_for(story, 30))


def arriving(arrivals: Arrivals, order: list[int], number: int) -> asyncio.Task[None]:
    async def decided() -> None:
        await arrivals.wait()
        order.append(number)

    return asyncio.ensure_future(decided())


def test_close_requests_begin_in_order_once_enough_wait() -> None:
    async def story() -> None:
        arrivals, order = Arrivals(3), list[int]()
        tasks = []
        for number, begun in enumerate(([0], [0], [0], [0, 1, 2, 3], [0, 1, 2, 3])):
            tasks.append(arriving(arrivals, order, number))
            for _ in range(3):
                await asyncio.sleep(0)
            assert order == begun
        tasks[-1].cancel()

    run(story())


def test_a_cancelled_request_holds_up_no_other() -> None:
    async def story() -> list[int]:
        arrivals, order = Arrivals(3), list[int]()
        tasks = [arriving(arrivals, order, number) for number in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks[:2], return_exceptions=True)
        await asyncio.gather(tasks[2], arriving(arrivals, order, 3))
        return order

    assert run(story()) == [0, 2, 3]


def test_a_wait_ends_by_time_and_a_single_request_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> None:
        arrivals, order = Arrivals(64), list[int]()
        await asyncio.gather(*(arriving(arrivals, order, number) for number in range(3)))
        assert order == [0, 1, 2]
        monkeypatch.setattr(module, "CLOSE_SECONDS", -1)
        with pytest.raises(StopIteration):
            arrivals.wait().send(None)

    monkeypatch.setattr(module, "GATHER_SECONDS", 0)
    run(story())


def test_a_request_is_decided_under_what_holds_when_its_wait_ends() -> None:
    async def story() -> list[str]:
        async with running(Broken(RuntimeError()), published=False) as gate:
            credential = gate.issuer.jwt_svid(ENV, NOW)
            found = [reason_of(await gate.ask(as_check_request(credential=credential)))]
            asking = [
                asyncio.ensure_future(gate.ask(as_check_request(credential=credential)))
                for _ in range(15)
            ]
            while gate.server.in_flight < len(asking):  # noqa: ASYNC110 - nobody tells of a number
                await asyncio.sleep(0)
            gate.holder.publish(gate.world.state())
            # The sixteenth is a quarter of how many may be in flight.
            last = gate.ask(as_check_request(credential=credential))
            return found + [reason_of(reply) for reply in await asyncio.gather(*asking, last)]

    assert run(story()) == ["trust_stale", *["internal_error"] * 16]
