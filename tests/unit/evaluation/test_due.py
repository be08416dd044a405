"""What must be evaluated again, and by when: each change of the world is seen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest

from sidecar.evaluation.due import SuiteState, suite_statuses
from tests.support.simulator.constants import DAY, NOW
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import manifest_predicate, suite, suites, window
from tests.support.simulator.world import World, admitted_world

REGRESSION = suite("regression")


def regression(world: World, edition: str = "") -> tuple[SuiteState, datetime | None, str]:
    changed = {("regression", "regression-suite"): edition} if edition else {}
    (found,) = [
        each
        for each in suite_statuses(world.state(), NOW, NOW + 14 * DAY, changed)
        if each.suite.kind == "regression"
    ]
    return found.state, found.until, found.evaluator


def test_a_passed_result_is_current_until_it_ends() -> None:
    world = admitted_world()
    found = suite_statuses(world.state(), NOW, NOW + 14 * DAY, {})
    assert [(each.suite.kind, each.due) for each in found] == [
        ("adversarial", False),
        ("compliance", False),
        ("regression", False),
    ]
    assert regression(world) == (SuiteState.CURRENT, NOW + 20 * DAY, "evaluator")


def due_manifests(world: World) -> set[str]:
    return {each.manifest for each in suite_statuses(world.state(), NOW, NOW, {})}


def lose_it(world: World) -> None:
    del world.evidence["result"]


def end_it(world: World) -> None:
    world.result(window=window(20, -1))


def end_it_soon(world: World) -> None:
    world.result(window=window(20, 3))


def end_its_key(world: World) -> None:
    world.parties["evaluator"].key_window = window(365, 2)


def rotate_its_key(world: World) -> None:
    world.parties["evaluator"].rotate()


def take_the_grant(world: World) -> None:
    world.grants["evaluator"] = (grant("auditor"),)


def withdraw_it(world: World) -> None:
    world.parties["evaluator"].withdraw("result", world.digests["result"])


def fail_it(world: World) -> None:
    world.parties["evaluator"].fail(world.digests["manifest"], REGRESSION)


def not_pass_it(world: World) -> None:
    world.result(result="FAILED")


def change_the_manifest(world: World) -> None:
    world.bind(envelope={"suites": suites(regression=0.95)})


@pytest.mark.parametrize(
    ("change", "standing", "until"),
    [
        (lose_it, SuiteState.MISSING, None),
        (end_it, SuiteState.ENDED, NOW - DAY),
        (end_it_soon, SuiteState.ENDING, NOW + 3 * DAY),
        (end_its_key, SuiteState.ENDING, NOW + 2 * DAY),
        (rotate_its_key, SuiteState.NOT_COUNTED, None),
        (take_the_grant, SuiteState.NOT_COUNTED, None),
        (withdraw_it, SuiteState.WITHDRAWN, None),
        (fail_it, SuiteState.FAILED, None),
        (not_pass_it, SuiteState.NOT_COUNTED, None),
        (change_the_manifest, SuiteState.MISSING, None),
    ],
)
def test_whatever_ends_a_result_makes_its_suite_due(
    change: Callable[[World], None], standing: SuiteState, until: datetime | None
) -> None:
    world = admitted_world()
    change(world)
    assert regression(world)[:2] == (standing, until)


def test_a_suite_that_was_changed_is_due_for_every_manifest_that_declared_it() -> None:
    world = admitted_world()
    assert regression(world, REGRESSION["digest"]["sha256"])[0] is SuiteState.CURRENT
    assert regression(world, "ab" * 32)[0] is SuiteState.CHANGED


def test_the_longest_of_several_results_counts() -> None:
    world = admitted_world()
    world.result(label="older", window=window(40, 2))
    assert regression(world)[:2] == (SuiteState.CURRENT, NOW + 20 * DAY)


def test_what_no_result_can_activate_again_is_not_due() -> None:
    world = admitted_world()
    world.bind(window=window(30, -1))
    assert suite_statuses(world.state(), NOW, NOW, {}) == ()
    world = admitted_world()
    older = world.digests["manifest"]
    world.bind("next", supersedes={"sha256": older}, run=manifest_predicate()["run"] | {"id": "r"})
    world.result("next:result", manifest="next")
    for role in ("provider", "customer", "regulator"):
        world.approve(role, label=f"next:{role}", manifest="next")
    assert due_manifests(world) == {world.digests["next"]}
    world.declare("spiffe://acme.example/env/other", label="other", jurisdictions=["us"])
    assert due_manifests(world) == {older, world.digests["next"]}  # not complete there
