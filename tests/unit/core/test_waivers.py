"""A waiver excuses a policy's rule and nothing else, and only its own regulator can give one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sidecar.core.assessment import Assessment, Ending
from sidecar.core.call import Call
from sidecar.core.facts import WaiverFacts
from sidecar.core.proving import prove
from sidecar.core.reasons import Reason
from sidecar.core.window import rfc3339
from tests.support.simulator.constants import DAY, ENV, MODEL, NOW, OPERATION
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import stamp, window
from tests.support.simulator.world import World, admitted_world, credential

RULE = "eu.art10_data_governance"


def facts(assessment: Assessment) -> tuple[WaiverFacts, ...]:
    call = Call("openai", OPERATION, (MODEL,))
    return prove(call, credential(), assessment, rfc3339(NOW), "n").waivers


def expected(subject: str) -> WaiverFacts:
    return WaiverFacts(
        rule=RULE,
        jurisdiction="eu",
        subject=subject,
        authority="regulator",
        reason="transition until the register is open",
        not_after=stamp(NOW + 20 * DAY),
    )


def test_a_regulators_waiver_for_the_environment_or_the_manifest_reaches_the_policies() -> None:
    world = admitted_world()
    world.waive(RULE)
    assert facts(world.ask()) == (expected(ENV),)
    world.waive(RULE, MODEL, world.digests["manifest"], label="second")
    assert facts(world.ask()) == (expected(ENV), expected(MODEL))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda w: w.waive(RULE, signer="customer"),
        lambda w: w.waive(RULE, signer="producer"),
        lambda w: w.waive(RULE, jurisdiction="us"),
        lambda w: w.waive(RULE, window=window(5, -1)),
        lambda w: w.waive(RULE, window=window(-1, 5)),
        lambda w: w.waive(RULE, "spiffe://acme.example/env/lab"),
        lambda w: w.waive(RULE, MODEL, "0" * 64),
        lambda w: (
            w.join("us-regulator", grant("regulator", jurisdictions=("us",))),
            w.waive(RULE, signer="us-regulator"),
        ),
    ],
)
def test_any_other_waiver_is_as_if_it_were_not_there(spoil: Callable[[World], Any]) -> None:
    world = admitted_world()
    spoil(world)
    assessment = world.ask()
    assert (assessment.reason, assessment.waivers) == (None, ())


@pytest.mark.parametrize("kind", ["waiver", "key"])
def test_a_withdrawn_waiver_falls_away_and_takes_nothing_with_it(kind: str) -> None:
    world = admitted_world()
    world.join("regulator-2", grant("regulator"))
    digest = world.waive(RULE, signer="regulator-2")
    assert facts(world.ask())[0].authority == "regulator-2"
    party = world.parties["regulator-2"]
    party.withdraw(kind, digest if kind == "waiver" else party.key.fingerprint)
    assessment = world.ask()
    assert (assessment.reason, assessment.waivers) == (None, ())


def test_who_gave_a_waiver_is_heard_when_it_withdraws_the_manifest() -> None:
    world = admitted_world()
    world.join("regulator-2", grant("regulator"))
    world.waive(RULE, signer="regulator-2")
    world.parties["regulator-2"].withdraw("manifest", world.digests["manifest"])
    assert world.ask().reason is Reason.WITHDRAWN


@pytest.mark.parametrize("label", ["environment", "result", "approval:regulator", "manifest"])
def test_structure_cannot_be_waived(label: str) -> None:
    world = admitted_world()
    world.waive("**")
    world.waive("approval_missing", MODEL, world.digests["manifest"], label="second")
    world.evidence.pop(label)
    assert world.ask().reason is not None


def test_a_regulator_of_the_sector_waives_for_a_manifest_by_its_models() -> None:
    world = admitted_world()
    world.waive(RULE, MODEL, world.digests["manifest"])
    (whole,) = world.grants["regulator"]
    for models, found in (((f"openai/{MODEL}",), 1), (("openai/ft:other",), 0)):
        world.join("sector", replace(whole, sectors=("finance",), models=models))
        world.waive(RULE, MODEL, world.digests["manifest"], signer="sector")
        assert len(facts(world.ask())) == found


def test_a_decision_ends_with_a_waiver_it_may_have_needed() -> None:
    def until(change: Callable[[World], Any]) -> Any:
        world = admitted_world()
        change(world)
        return world.ask().valid_until

    soon = NOW + DAY / 48
    assert until(lambda w: w.waive(RULE, window=window(1, 1 / 48))) == soon

    def withdrawn_soon(world: World) -> None:
        digest = world.waive(RULE)
        world.parties["regulator"].withdraw("waiver", digest, soon)

    assert until(withdrawn_soon) == soon
    world = admitted_world()
    world.waive(RULE)
    assert Ending(NOW + 20 * DAY, "waiver", "regulator") in world.ask().endings
