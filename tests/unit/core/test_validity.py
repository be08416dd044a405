"""A decision holds until the earliest end of anything that it relies on, and never for long."""

from __future__ import annotations

from datetime import timedelta

from sidecar.core.assess import assess
from sidecar.core.assessment import NOTICE, Ending
from sidecar.core.call import Call
from sidecar.core.documents import WithdrawalKind as K
from sidecar.core.validity import LONGEST_VALIDITY
from tests.support.simulator.constants import APPROVERS, BASE, ENV, MODEL, NOW, OPERATION
from tests.support.simulator.predicates import window
from tests.support.simulator.world import World, admitted_world, credential
from tests.unit.core.tuning import job, tuning_world

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


def test_each_end_is_named_with_its_owner_and_the_earliest_is_the_answer() -> None:
    world = admitted_world()
    world.approve("regulator", window=window(1, 0.25))
    found = assess(CALL, credential(expires=LONG), world.state(), NOW)
    first = min(found.endings)
    assert first == Ending(NOW + timedelta(hours=6), "approval as regulator", "regulator")
    assert first.at == found.valid_until
    signers = {*APPROVERS, "evaluator", "producer"}
    assert {(ending.what, ending.whose) for ending in found.endings} == {
        ("credential", ENV),
        ("environment declaration", "customer"),
        *(("published metadata", each) for each in signers),
        *(("attestation key", each) for each in signers),
        ("manifest", "producer"),
        ("result", "evaluator"),
        *((f"approval as {each}", each) for each in APPROVERS),
    }


def test_the_end_of_a_jobs_specification_is_named_with_its_customer() -> None:
    world = tuning_world()
    found = assess(job(world), credential(expires=LONG), world.state(), NOW)
    assert {ending.what for ending in found.endings if ending.whose == "customer"} == {
        "environment declaration",
        "specification",
        "published metadata",
        "attestation key",
    }


def test_an_announced_end_is_named_from_ninety_days_ahead_with_its_author() -> None:
    world = admitted_world()
    ends = NOW + NOTICE + timedelta(hours=1)
    world.parties["provider"].withdraw(K.BASE_MODEL, f"openai/{BASE}", ends)
    found = assess(CALL, credential(expires=LONG), world.state(), NOW)
    assert found.announced_end(NOW) is None
    named = Ending(ends, "announced withdrawal", "provider")
    assert found.announced_end(NOW + timedelta(hours=1)) == named
    assert named in found.endings


def test_what_ends_without_an_announcement_is_not_named_as_one() -> None:
    world = admitted_world()
    world.approve("regulator", window=window(1, 0.25))
    assert assess(CALL, credential(expires=LONG), world.state(), NOW).announced_end(NOW) is None
