"""Deactivation needs one: each noun of an admitted chain, withdrawn alone, ends it."""

from __future__ import annotations

from datetime import datetime

import pytest

from sidecar.core.assess import assess
from sidecar.core.call import Call
from sidecar.core.cascade import Cascade
from sidecar.core.documents import WithdrawalKind
from sidecar.core.memory import LineageNode
from sidecar.core.objectors import Objectors
from sidecar.core.predicates import MANIFEST
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import (
    APPROVERS,
    BASE,
    CHILD,
    DAY,
    ENV,
    MODEL,
    NOW,
    OPERATION,
)
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import manifest_predicate, sha, statement, window
from tests.support.simulator.world import World, admitted_world, credential, tuned_on_world

K = WithdrawalKind


def nouns(world: World) -> list[tuple[WithdrawalKind, str]]:
    """Everything ``CHILD``'s admission rests on, written down by hand from the evidence."""
    found: list[tuple[WithdrawalKind, str]] = [
        (K.ENVIRONMENT, ENV),
        (K.ENVIRONMENT, world.digests["environment"]),
        (K.BASE_MODEL, f"openai/{BASE}"),
        (K.BASE_MODEL, f"openai/{MODEL}"),
        (K.MODEL, f"openai/{CHILD}"),
        (K.MODEL, f"openai/{MODEL}"),
        (K.MANIFEST, world.digests["child"]),
        (K.MANIFEST, world.digests["manifest"]),
        (K.RESULT, world.digests["child:result"]),
        *((K.APPROVAL, world.digests[f"child:approval:{role}"]) for role in APPROVERS),
    ]
    for model in (CHILD, MODEL):
        predicate = manifest_predicate(model=model)
        found.append((K.RUN, predicate["run"]["id"]))
        found.extend((K.CORPUS, c["digest"]["sha256"]) for c in predicate["corpora"])
        found.extend((K.EVALUATION, e["digest"]["sha256"]) for e in predicate["evaluations"])
    suites = manifest_predicate()["envelope"]["suites"]
    found.extend((K.EVALUATION, suite["digest"]["sha256"]) for suite in suites)
    for name in CONSTITUENTS:
        found.append((K.AUTHORITY, name))
        found.append((K.KEY, world.parties[name].key.fingerprint))
    return found


CONSTITUENTS = (*APPROVERS, "evaluator", "producer")


@pytest.mark.parametrize("number", range(33))
@pytest.mark.parametrize("authority", ["regulator", "producer"])
def test_withdrawing_one_noun_alone_denies_with_its_own_reason(number: int, authority: str) -> None:
    world = tuned_on_world()
    everything = nouns(world)
    assert len(everything) == 33
    kind, subject = everything[number]
    world.parties[authority].withdraw(kind, subject)
    assessment = world.ask(CHILD)
    assert assessment.reason is Reason.WITHDRAWN
    failed = assessment.failed
    assert failed is not None
    assert failed.withdrawn is not None
    assert (failed.step, failed.withdrawn.node, failed.withdrawn.authority) == (
        6,
        LineageNode(kind, subject),
        authority,
    )
    assert failed.detail == f"{authority} withdrew {kind} {subject}: shown to be unfit"


@pytest.mark.parametrize("number", range(33))
def test_a_stranger_withdraws_everything_and_nothing_changes(number: int) -> None:
    world = tuned_on_world()
    kind, subject = nouns(world)[number]
    world.parties["stranger"].withdraw(kind, subject)
    assert world.ask(CHILD).reason is None


def test_a_class_pattern_retires_the_model_and_the_one_tuned_on_from_it() -> None:
    world = tuned_on_world()
    world.parties["provider"].withdraw(K.BASE_MODEL, "openai/gpt-4o-*")
    assert [world.ask(m).reason for m in (MODEL, CHILD, BASE)] == [Reason.WITHDRAWN] * 3


def test_a_class_pattern_leaves_other_classes_alone() -> None:
    world = tuned_on_world()
    world.parties["provider"].withdraw(K.BASE_MODEL, "openai/gpt-4.1-*")
    world.parties["customer"].withdraw(K.ENVIRONMENT, "spiffe://acme.example/lab/**")
    assert [world.ask(m).reason for m in (MODEL, CHILD, BASE)] == [None] * 3


def test_environments_are_withdrawn_by_pattern() -> None:
    world = admitted_world()
    world.parties["customer"].withdraw(K.ENVIRONMENT, "spiffe://acme.example/env/*")
    assert world.ask().reason is Reason.WITHDRAWN


def test_a_pattern_means_nothing_where_a_name_is_meant() -> None:
    world = admitted_world()
    world.parties["provider"].withdraw(K.MODEL, "openai/**")
    world.parties["provider"].withdraw(K.RUN, "**")
    assert world.ask().reason is None


def test_a_withdrawal_takes_effect_at_its_time_and_not_before() -> None:
    world = admitted_world()
    world.parties["regulator"].withdraw(K.MANIFEST, world.digests["manifest"], NOW + DAY / 2)
    assert world.ask().reason is None
    assert world.ask().valid_until <= NOW + DAY / 2

    def at(instant: datetime) -> Reason | None:
        far = credential(expires=NOW + 30 * DAY)
        return assess(Call("openai", OPERATION, (MODEL,)), far, world.state(), instant).reason

    assert at(NOW + DAY / 2) is Reason.WITHDRAWN


def test_an_authority_that_withdraws_its_own_key_is_still_heard() -> None:
    world = admitted_world()
    regulator = world.parties["regulator"]
    regulator.withdraw(K.KEY, regulator.key.fingerprint)
    failed = world.ask().failed
    assert failed is not None
    assert (failed.step, failed.reason) == (6, Reason.WITHDRAWN)


def test_a_new_approval_takes_the_place_of_the_withdrawn_one() -> None:
    world = admitted_world()
    world.parties["regulator"].withdraw(K.APPROVAL, world.digests["approval:regulator"])
    assert world.ask().reason is Reason.WITHDRAWN
    world.approve("regulator", label="anew", window=window(1, 5))
    assert world.ask().reason is None


def test_a_new_result_takes_the_place_of_the_withdrawn_one() -> None:
    world = admitted_world()
    world.parties["evaluator"].withdraw(K.RESULT, world.digests["result"])
    assert world.ask().reason is Reason.WITHDRAWN
    world.result(label="anew", window=window(1, 5))
    assert world.ask().reason is None


def test_a_withdrawn_pass_leaves_the_evaluators_failure_standing() -> None:
    world = admitted_world()
    world.result(result="FAILED")
    world.parties["evaluator"].withdraw(K.RESULT, world.digests["result"])
    assert world.ask().reason is Reason.PREACTIVATION_FAILED


def test_another_regulators_approval_does_not_silence_the_one_that_withdrew() -> None:
    world = admitted_world()
    world.join("regulator-2", grant("regulator"))
    world.approve("regulator", label="second", signer="regulator-2", window=window(10, 28))
    world.parties["regulator"].withdraw(K.MANIFEST, world.digests["manifest"])
    assert world.ask().reason is Reason.WITHDRAWN


def test_the_co_signer_whose_key_stands_is_relied_on() -> None:
    world = admitted_world()
    world.join("producer-2", grant("producer"))
    payload = statement(MANIFEST, MODEL, sha(f"job {MODEL}"), manifest_predicate())
    world.sign("manifest", payload, "producer", "producer-2")
    world.parties["producer"].withdraw(K.KEY, world.parties["producer"].key.fingerprint)
    chain = world.ask().chains[0]
    assert chain.producer is not None
    assert chain.producer.authority == "producer-2"
    assert world.ask().reason is None


@pytest.mark.parametrize("name", CONSTITUENTS)
def test_a_silent_constituent_makes_trust_stale(name: str) -> None:
    world = admitted_world()
    world.parties[name].expires = NOW
    failed = world.ask().failed
    assert failed is not None
    assert (failed.step, failed.reason, failed.missing) == (7, Reason.TRUST_STALE, (name,))
    assert failed.detail == f"no current trust metadata of {name}"


def test_a_silent_stranger_changes_nothing() -> None:
    world = admitted_world()
    world.parties["stranger"].expires = NOW - DAY
    assert world.ask().reason is None


def test_a_constituent_that_was_never_verified_is_not_fresh() -> None:
    world = admitted_world()
    world.join("other-cloud", grant("provider", base_models=(f"openai/{BASE}",)))
    del world.parties["other-cloud"]
    failed = world.ask(BASE).failed
    assert failed is not None
    assert (failed.reason, failed.missing) == (Reason.TRUST_STALE, ("other-cloud",))


def test_a_withdrawal_is_named_before_stale_trust() -> None:
    world = admitted_world()
    world.parties["regulator"].expires = NOW
    world.parties["regulator"].withdraw(K.MANIFEST, world.digests["manifest"])
    assert world.ask().reason is Reason.WITHDRAWN


def test_a_stale_approval_beside_a_withdrawn_one_is_stale_and_not_withdrawn() -> None:
    world = admitted_world()
    world.approve("regulator", label="anew", window=window(1, 5))
    world.parties["producer"].withdraw(K.APPROVAL, world.digests["approval:regulator"])
    world.parties["regulator"].expires = NOW
    failed = world.ask().failed
    assert failed is not None
    assert (failed.step, failed.reason, failed.missing) == (7, Reason.TRUST_STALE, ("regulator",))


def test_nothing_ahead_means_that_nothing_is_announced() -> None:
    world = admitted_world()
    cascade = Cascade.of(world.state(), Objectors(("regulator",), ()), (), NOW)
    assert cascade.announced([LineageNode(K.MODEL, f"openai/{MODEL}")]) is None
