"""Policies are shown a bounded part of what counts: it can only lose an allow, and it is said."""

from __future__ import annotations

from sidecar.core.assessment import Assessment
from sidecar.core.call import Call
from sidecar.core.facts import AdaptationFacts
from sidecar.core.proving import prove
from sidecar.core.shown_evidence import MOST_SHOWN, newest_of_each
from sidecar.core.window import rfc3339
from tests.support.simulator.constants import DAY, MODEL, NOW, OPERATION
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import window
from tests.support.simulator.world import World, admitted_world, credential

CALL = Call("openai", OPERATION, (MODEL,))
MANY = MOST_SHOWN + 6


def shown(world: World) -> tuple[Assessment, AdaptationFacts]:
    assessment = world.ask()
    facts = prove(CALL, credential(), assessment, rfc3339(NOW), "n")
    return assessment, facts.adaptations[0]


def detail(assessment: Assessment, step: int) -> str:
    (found,) = [each.detail for each in assessment.findings if each.step == step]
    return found


def test_the_newest_of_each_author_are_kept_in_their_order() -> None:
    many = [("busy", f"2026-06-{day:02}T{hour:02}") for day in range(1, 11) for hour in range(24)]
    few = [("quiet", "2025-01-01T00"), ("quiet", "2025-01-02T00")]

    def kept(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [*newest_of_each(found, lambda each: each[0], lambda each: each[1])]

    assert kept([*few, *many]) == [*few, *many[-(MOST_SHOWN - 2) :]]
    assert kept([*few, *many[: MOST_SHOWN - 2]]) == [*few, *many[: MOST_SHOWN - 2]]


def test_of_many_results_the_newest_of_each_evaluator_are_shown_and_it_is_said() -> None:
    world = admitted_world()
    world.join("lab", grant("evaluator"))
    for number in range(MANY):
        world.result(f"again-{number}", signer="lab", window=window(5 + number, 29))
    assessment, adaptation = shown(world)
    for suite in adaptation.suites:
        evaluators = [each.evaluator for each in suite.results]
        assert (len(evaluators), evaluators.count("lab")) == (MOST_SHOWN, MOST_SHOWN - 1)
        assert min(each.performed for each in suite.results) > rfc3339(NOW - 70 * DAY)
    of = f"policies are shown {MOST_SHOWN} of {MANY + 1} results of a suite"
    assert detail(assessment, 4).endswith(of)


def test_results_that_policies_see_alike_are_one() -> None:
    world = admitted_world()
    for number in range(MANY):
        world.result(f"again-{number}", finished=number)
    assessment, adaptation = shown(world)
    assert [len(each.results) for each in adaptation.suites] == [1] * len(adaptation.suites)
    assert "policies are shown" not in detail(assessment, 4)


def test_of_many_approvals_of_a_role_a_part_is_shown_and_every_other_role_whole() -> None:
    world = admitted_world()
    before = shown(world)[1].approvals
    for number in range(MANY):
        world.approve("customer", label=f"again-{number}", window=window(11 + number, 20))
    assessment, adaptation = shown(world)
    roles = [each.role for each in adaptation.approvals]
    assert (len(roles), roles.count("customer")) == (MOST_SHOWN + len(before) - 1, MOST_SHOWN)
    of = f"policies are shown {MOST_SHOWN} of {MANY + 1} approvals of a role"
    assert detail(assessment, 5).endswith(of)


def test_of_many_waivers_the_newest_are_shown() -> None:
    world = admitted_world()
    for number in range(MANY):
        world.waive(f"eu.rule-{number}", label=f"w-{number}", window=window(1 + number, 29))
    facts = prove(CALL, credential(), world.ask(), rfc3339(NOW), "n")
    newest = {f"eu.rule-{number}" for number in range(MOST_SHOWN)}
    assert {each.rule for each in facts.waivers} == newest
