"""In a burst requests wait in order, for a bounded time, and none is left without a reason."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.gate.authorization import REPLY_SECONDS, Authorization, Limits
from sidecar.gate.clock import Reading
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.request_queue import RequestQueue
from sidecar.gate.snapshot_holder import SnapshotHolder
from tests.support.gate.bench import SETTINGS, Book, Stuck, reason_of
from tests.support.gate.requests import as_check_request
from tests.support.simulator.constants import ENV, NOW
from tests.support.simulator.svid import Issuer
from tests.support.simulator.world import admitted_world


def test_requests_wait_in_order_and_only_so_many_are_decided_at_a_time() -> None:
    async def story() -> tuple[list[int], int]:
        waiting, order, at_a_time, most = RequestQueue(2), list[int](), 0, 0

        async def decide(number: int) -> None:
            nonlocal at_a_time, most
            async with waiting.slot(30):
                order.append(number)
                at_a_time += 1
                most = max(most, at_a_time)
                await asyncio.sleep(0)
                at_a_time -= 1

        await asyncio.gather(*(decide(number) for number in range(20)))
        return order, most

    assert asyncio.run(story()) == (list(range(20)), 2)


def test_a_request_that_waits_too_long_is_refused_and_takes_no_turn() -> None:
    async def story() -> list[Reason | str]:
        waiting, found = RequestQueue(1), list[Reason | str]()
        async with waiting.slot(30):
            with pytest.raises(AdmissibilityError) as caught:
                async with waiting.slot(0.01):
                    found.append("decided")
            found.append(caught.value.reason)
        async with waiting.slot(0.01):
            found.append("decided")
        return found

    assert asyncio.run(story()) == [Reason.OVERLOADED, "decided"]


@dataclass(frozen=True, slots=True)
class Context:
    """What is left of the caller's deadline, in seconds."""

    left: float

    def time_remaining(self) -> float:
        return self.left


def test_a_request_is_answered_before_envoy_gives_up_though_the_gate_has_more_time() -> None:
    async def story() -> list[str]:
        world, issuer, holder = admitted_world(), Issuer(), SnapshotHolder()
        world.parties["customer"].trust_domains = [issuer.document(NOW)]
        holder.publish(world.state())
        pipeline, limits = Pipeline(SETTINGS, holder, Stuck()), Limits(30, 4)
        service = Authorization(pipeline, limits, Book(), clock=lambda: Reading(NOW))
        message = as_check_request(credential=issuer.jwt_svid(ENV, NOW))
        return [
            reason_of(await service.Check(message, Context(REPLY_SECONDS + left)))
            for left in (-0.1, 0.1)
        ]

    assert asyncio.run(story()) == ["overloaded", "deadline_exceeded"]
