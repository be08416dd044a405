"""Step 4: every declared suite was run, passed and countersigned for exactly this manifest."""

from __future__ import annotations

from sidecar.core.reasons import Reason
from tests.support.simulator.world import World, admitted_world, window


def fourth(world: World) -> Reason | None:
    """The reason of step 4."""
    (finding,) = (each for each in world.ask().findings if each.step == 4)
    return finding.reason


def test_a_passed_result_of_an_evaluator_is_what_it_takes() -> None:
    world = admitted_world()
    assert fourth(world) is None
    del world.evidence["result"]
    assert fourth(world) is Reason.PREACTIVATION_MISSING


def test_the_producers_own_result_is_none() -> None:
    world = admitted_world()
    world.result(signer="producer")
    assert fourth(world) is Reason.PREACTIVATION_MISSING


def test_a_result_that_has_ended_is_distinguished_from_one_that_is_missing() -> None:
    world = admitted_world()
    world.result(window=window(20, -1))
    assert fourth(world) is Reason.PREACTIVATION_EXPIRED
