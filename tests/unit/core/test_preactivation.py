"""Step 4: every declared suite was run, passed and countersigned for exactly this manifest."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.core.reasons import Reason
from tests.support.simulator.constants import MODEL
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import result_predicate, suites, window
from tests.support.simulator.world import World, admitted_world


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


def test_every_result_that_counts_is_given_for_the_suite_that_it_is_of() -> None:
    world = admitted_world()
    world.join("second", grant("evaluator"))
    world.result("other", signer="second")
    (chain,) = world.ask().chains
    assert [{(each.suite, each.signer.authority) for each in suite} for suite in chain.results] == [
        {(each.suite, "evaluator"), (each.suite, "second")} for each in chain.suites
    ]


PASSED = result_predicate(suites())["configuration"]
BELOW = [{**each, "annotations": {**each["annotations"], "score": 0.1}} for each in PASSED]


@pytest.mark.parametrize("entries", [[*PASSED, *BELOW], [*BELOW, *PASSED]], ids=["last", "first"])
def test_a_result_that_scores_a_suite_twice_passes_only_with_both(
    entries: list[dict[str, Any]],
) -> None:
    world = admitted_world()
    world.result(configuration=entries)
    assert fourth(world) is Reason.PREACTIVATION_FAILED
    world.result(configuration=[*PASSED, *PASSED])
    assert fourth(world) is None


def test_a_result_that_scores_a_suite_twice_takes_over_only_with_both() -> None:
    world = admitted_world()
    first = world.digests["manifest"]
    second = world.bind("second", supersedes={"sha256": first}, window=window(1, 30))
    for role in ("provider", "customer", "regulator"):
        world.approve(role, label=f"second:{role}", manifest="second")
    world.result("second:result", manifest="second", configuration=[*PASSED, *BELOW])
    (chain,) = world.ask(MODEL).chains
    assert chain.manifest is not None
    assert chain.manifest.digest == first
    world.result("second:result", manifest="second")
    (chain,) = world.ask(MODEL).chains
    assert chain.manifest is not None
    assert chain.manifest.digest == second
