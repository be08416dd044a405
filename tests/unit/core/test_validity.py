"""A decision holds until the earliest end of anything that it relies on, and never for long."""

from __future__ import annotations

from datetime import timedelta

from sidecar.core.assess import assess
from sidecar.core.call import Call
from sidecar.core.validity import LONGEST_VALIDITY
from tests.support.simulator.world import (
    MODEL,
    NOW,
    OPERATION,
    World,
    admitted_world,
    credential,
    window,
)

CALL = Call("openai", OPERATION, (MODEL,))
LONG = NOW + timedelta(days=400)


def holds_until(world: World) -> timedelta:
    return assess(CALL, credential(expires=LONG), world.state(), NOW).valid_until - NOW


def test_no_decision_holds_longer_than_the_longest() -> None:
    assert holds_until(admitted_world()) <= LONGEST_VALIDITY


def test_the_credential_ends_it() -> None:
    soon = NOW + timedelta(minutes=5)
    found = assess(CALL, credential(expires=soon), admitted_world().state(), NOW)
    assert found.valid_until == soon


def test_the_end_of_an_approval_ends_it() -> None:
    world = admitted_world()
    world.approve("regulator", window=window(1, 0.25))
    assert holds_until(world) == timedelta(hours=6)
