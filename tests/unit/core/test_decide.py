"""Allow needs both: an admissible assessment and a well-formed verdict that says so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sidecar.core.call import Call
from sidecar.core.decide import (
    Decision,
    Progress,
    decide,
    inadmissible,
    join,
    refuse,
    renew,
)
from sidecar.core.reasons import AdmissibilityError, Reason, http_status, remedy
from sidecar.core.verdict import Violation
from tests.support.simulator.constants import BASE, MODEL, NOW, OPERATION
from tests.support.simulator.world import admitted_world, credential
from tests.unit.core.verdicts import VIOLATION, body, read

CALL = Call("openai", OPERATION, (MODEL,))
LATER = NOW + timedelta(days=30)
"""When time alone could next change what was read: later than all that ends the decision."""


def progress(**changes: Any) -> Progress:
    made = Progress("d-1", NOW, 7, CALL, credential(), admitted_world().ask())
    return replace(made, **changes)


def test_an_allow_carries_everything_and_a_lease_that_ends_with_the_first_thing() -> None:
    made = progress()
    assert made.assessment is not None
    decision = decide(made, read(body()), LATER)
    assert decision == Decision(
        id="d-1",
        reason=Reason.ADMITTED,
        detail="admitted",
        at=NOW,
        call=CALL,
        credential=credential(),
        assessment=made.assessment,
        epoch=7,
        revision="r-1",
        lease_until=NOW + timedelta(seconds=30),
    )
    assert decision.allowed
    for seconds in (10**6, 10**18):  # the latter leads beyond the last date there is
        long = decide(made, read(body(lease_seconds=seconds)), LATER)
        assert long.lease_until == made.assessment.valid_until == NOW + timedelta(hours=1)
    shown = NOW + timedelta(seconds=10)
    assert decide(made, read(body()), shown).lease_until == shown


def test_a_policy_can_refuse_what_structure_admits() -> None:
    refusing = {
        "allow": False,
        "violations": [VIOLATION],
        "warnings": [VIOLATION],
        "jurisdictions": {"eu": {"allow": False, "violations": [VIOLATION]}},
    }
    decision = decide(progress(), read(body(**refusing)), LATER)
    assert (decision.reason, decision.detail, decision.allowed, decision.lease_until) == (
        Reason.JURISDICTION_DENIED,
        "eu.art10: no corpus",
        False,
        NOW,
    )
    assert decision.violations == decision.warnings == (Violation(**VIOLATION),)
    silent = decide(progress(), read(body(allow=False)), LATER)
    assert (silent.reason, silent.detail) == (
        Reason.JURISDICTION_DENIED,
        "the policies do not allow it",
    )
    unknown = {**VIOLATION, "code": "jurisdiction_unknown"}
    assert decide(progress(), read(body(allow=False, violations=[unknown])), LATER).reason is (
        Reason.JURISDICTION_UNKNOWN
    )


def test_a_policy_cannot_admit_what_structure_refuses() -> None:
    world = admitted_world()
    world.evidence.pop("approval:regulator")
    for assessment in (world.ask(), None):
        with pytest.raises(AdmissibilityError) as caught:
            decide(progress(assessment=assessment), read(body()), LATER)
        assert (caught.value.reason, caught.value.message) == (
            Reason.INTERNAL_ERROR,
            "nothing admissible to decide on",
        )


def test_a_refusal_by_structure_names_model_and_finding() -> None:
    world = admitted_world()
    world.evidence.pop("approval:regulator")
    decision = inadmissible(progress(assessment=world.ask()))
    assert (decision.reason, decision.detail, decision.failed) == (
        Reason.APPROVAL_MISSING,
        f"{MODEL}: no approval by regulator for eu",
        world.ask().failed,
    )


def test_a_refusal_without_a_finding_is_an_error_and_still_a_denial() -> None:
    for made in (progress(), progress(assessment=None)):
        decision = inadmissible(made)
        assert (decision.reason, decision.allowed) == (Reason.INTERNAL_ERROR, False)


def test_no_error_can_carry_an_allow() -> None:
    decision = refuse(progress(), AdmissibilityError(Reason.ADMITTED, "surprise"))
    assert (decision.reason, decision.allowed) == (Reason.INTERNAL_ERROR, False)
    decision = refuse(progress(), AdmissibilityError(Reason.OVERLOADED, "busy"))
    assert (decision.reason, decision.detail) == (Reason.OVERLOADED, "busy")


def test_every_reason_has_a_status_and_a_remedy_and_only_one_of_them_is_200() -> None:
    assert [reason for reason in Reason if http_status(reason) == 200] == [Reason.ADMITTED]
    assert {http_status(reason) for reason in Reason} == {200, 400, 401, 403, 413, 415, 503}
    assert all(remedy(reason).endswith(".") for reason in Reason)


def test_a_decision_is_renewed_with_the_id_and_time_of_another_request() -> None:
    made = progress()
    decision = decide(made, read(body()), LATER)
    later = replace(made, id="d-2", at=NOW + timedelta(seconds=29), epoch=8)
    renewed = renew(decision, later)
    assert renewed == replace(decision, id="d-2", at=later.at, epoch=8)


@pytest.mark.parametrize("seconds", [-1, 30])
def test_an_allow_is_not_renewed_outside_its_lease(seconds: int) -> None:
    decision = decide(progress(), read(body()), LATER)
    at = progress(id="d-2", at=NOW + timedelta(seconds=seconds))
    with pytest.raises(AdmissibilityError) as refused:
        renew(decision, at)
    assert refused.value.reason is Reason.INTERNAL_ERROR
    with pytest.raises(AdmissibilityError):
        renew(replace(decision, lease_until=None), progress())


def test_a_renewed_denial_ends_with_its_own_time() -> None:
    denied = inadmissible(progress(assessment=admitted_world().ask("ft:unknown")))
    later = progress(id="d-2", at=NOW + timedelta(seconds=1))
    assert renew(denied, later) == replace(denied, id="d-2", at=later.at, lease_until=later.at)


def test_allows_of_calls_that_are_made_together_name_every_model_and_what_each_relies_on() -> None:
    world = admitted_world()
    call = replace(CALL, tuned=("n",), deployments=("d",))
    warned = decide(
        progress(call=call, assessment=world.ask()),
        read(body(lease_seconds=10, warnings=[VIOLATION])),
        LATER,
    )
    base = replace(CALL, operation="embeddings", models=(BASE,), tuned=("m",), stream=True)
    last = decide(progress(call=base, assessment=world.ask(BASE)), read(body()), LATER)
    assert warned.assessment is not None
    assert last.assessment is not None
    joined = join((warned, last))
    assert joined.assessment is not None
    assert joined.call == replace(
        base, models=(*CALL.models, BASE), tuned=("n", "m"), deployments=("d",)
    )
    assert [chain.model for chain in joined.assessment.chains] == [MODEL, BASE]
    assert joined.assessment.manifests == warned.assessment.manifests != ()
    assert joined.assessment.constituents == tuple(
        sorted({*warned.assessment.constituents, *last.assessment.constituents})
    )
    assert set(warned.assessment.constituents) > set(last.assessment.constituents)
    assert set(joined.assessment.endings) >= set(warned.assessment.endings)
    assert joined.warnings == warned.warnings != ()
    assert (joined.allowed, joined.lease_until) == (True, warned.lease_until)
    assert join((warned,)) == warned


def test_nothing_but_allows_is_joined() -> None:
    allowed = decide(progress(), read(body()), LATER)
    denied = inadmissible(progress(assessment=admitted_world().ask("ft:unknown")))
    for decisions in ((), (denied, allowed), (replace(allowed, assessment=None),)):
        with pytest.raises(AdmissibilityError, match="only allows can be joined"):
            join(decisions)
