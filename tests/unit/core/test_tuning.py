"""Which models may be tuned, which is not the same as which may be called."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sidecar.core.assessment import Finding, Specified
from sidecar.core.call import Call
from sidecar.core.evidence import Signer
from sidecar.core.predicates import MANIFEST
from sidecar.core.proving import prove
from sidecar.core.reasons import Reason
from sidecar.core.window import rfc3339
from tests.support.simulator.constants import APPROVERS, BASE, DEPLOYMENT, ENV, MODEL, NOW
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import manifest_predicate, sha, statement, window
from tests.support.simulator.world import World, credential
from tests.unit.core.tuning import TUNE, job, told, tuning_world, unverified


def test_a_listed_base_model_is_tuned_under_a_customers_specification() -> None:
    world = tuning_world()
    digest = world.digests["specification"]
    assessment = world.put(job(world))
    assert assessment.findings == (
        Finding(0, TUNE, None, f"names {BASE}"),
        Finding(1, ENV, None, "declared by customer"),
        Finding(2, BASE, None, "a base model the environment lists"),
        Finding(3, digest, None, "signed by customer"),
        Finding(6, ENV, None, "4 things relied on, none withdrawn"),
        Finding(6, BASE, None, "3 things relied on, none withdrawn"),
        Finding(6, digest, None, "6 things relied on, none withdrawn"),
        Finding(7, "customer, provider", None, "constituents fresh: 2, objectors heard: 5"),
    )
    signer = Signer("customer", world.parties["customer"].key.fingerprint)
    assert assessment.specification == Specified(world.state().specifications[digest], signer)
    facts = prove(job(world), credential(), assessment, rfc3339(NOW), "n")
    request = facts.request
    assert (request.models, request.tuned, request.specification) == ((BASE,), (BASE,), digest)
    assert (request.run, facts.adaptations) == ((), ())


@pytest.mark.parametrize("noun", ["environment", "base-model", "specification"])
def test_the_decision_on_a_job_ends_with_a_withdrawal_to_come(noun: str) -> None:
    world = tuning_world()
    digest = world.digests["specification"]
    subjects = {"environment": ENV, "base-model": f"openai/{BASE}", "specification": digest}
    coming = NOW + timedelta(minutes=5)
    world.parties["regulator"].withdraw(noun, subjects[noun], effective=coming)
    assessment = world.put(job(world))
    assert (assessment.reason, assessment.valid_until) == (None, coming)


def test_the_facts_of_a_model_that_also_grades_say_that_it_is_run() -> None:
    world = tuning_world()
    patterns = [f"openai/{BASE}"]
    world.declare(baseModels=patterns, tuningModels=patterns)
    both = dataclasses.replace(job(world), models=(BASE,))
    facts = prove(both, credential(), world.put(both), rfc3339(NOW), "n")
    request = facts.request
    assert (request.models, request.run, request.tuned) == ((BASE,), (BASE,), (BASE,))


def test_what_may_be_called_may_not_be_tuned_for_that_and_the_other_way_round() -> None:
    world = tuning_world()
    tuning = (
        Reason.BASE_MODEL_NOT_LISTED,
        2,
        "a base model that the environment's declaration does not list for tuning",
    )
    calling = (
        Reason.BASE_MODEL_NOT_LISTED,
        2,
        "a base model that the environment's declaration does not list",
    )
    both = dataclasses.replace(job(world), models=(BASE,))
    answers = {}
    for called, tuned in ((0, 0), (0, 1), (1, 0), (1, 1)):
        patterns = [f"openai/{BASE}"]
        world.declare(baseModels=patterns * called, tuningModels=patterns * tuned)
        answers[called, tuned] = tuple(
            told(world, call) for call in (job(world), Call("openai", TUNE, (BASE,)), both)
        )
    fine = (None, -1, "")
    assert answers == {
        (0, 0): (tuning, calling, calling),
        (0, 1): (fine, calling, calling),
        (1, 0): (tuning, fine, tuning),
        (1, 1): (fine, fine, fine),
    }


def test_a_declaration_that_is_silent_about_tuning_lists_nothing_for_it() -> None:
    world = tuning_world()
    world.declare()
    assert told(world)[:2] == (Reason.BASE_MODEL_NOT_LISTED, 2)


def test_a_base_model_needs_a_provider_that_answers_for_it_to_be_tuned() -> None:
    world = tuning_world()
    world.declare(tuningModels=["openai/**"])
    assert told(world, job(world, "gpt-9"))[:2] == (Reason.MANIFEST_MISSING, 2)
    assert told(world, job(world, "gpt-4.1-mini"))[0] is None


def test_every_model_that_would_be_tuned_must_be_admissible() -> None:
    world = tuning_world()
    assert told(world, job(world, BASE, "gpt-4o-mini"))[0] is None
    assert told(world, job(world, BASE, "gpt-4.1-mini"))[:2] == (Reason.BASE_MODEL_NOT_LISTED, 2)


def parent_world() -> World:
    """``MODEL`` may be tuned on: its manifest and every approval cover that operation."""
    world = tuning_world()
    spec = {**manifest_predicate()["environments"][0], "operations": [TUNE]}
    predicate = {**manifest_predicate(), "environments": [spec]}
    world.sign("manifest", statement(MANIFEST, MODEL, sha("job"), predicate), "producer")
    world.result()
    for role in APPROVERS:
        world.approve(role, operations=[TUNE])
    return world


PARENT: list[tuple[str, Callable[[World], Any], tuple[Reason, int]]] = [
    ("no manifest", lambda w: w.evidence.pop("manifest"), (Reason.MANIFEST_MISSING, 2)),
    ("no result", lambda w: w.evidence.pop("result"), (Reason.PREACTIVATION_MISSING, 4)),
    *(
        (f"no {r}", lambda w, r=r: w.evidence.pop(f"approval:{r}"), (Reason.APPROVAL_MISSING, 5))
        for r in APPROVERS
    ),
    ("approved for calls only", lambda w: w.approve("customer"), (Reason.APPROVAL_OUT_OF_SCOPE, 5)),
    (
        "withdrawn",
        lambda w: w.parties["regulator"].withdraw("model", f"openai/{MODEL}"),
        (Reason.WITHDRAWN, 6),
    ),
    ("stale", lambda w: setattr(w.parties["evaluator"], "expires", NOW), (Reason.TRUST_STALE, 7)),
]


@pytest.mark.parametrize(("spoil", "expected"), [c[1:] for c in PARENT], ids=[c[0] for c in PARENT])
def test_an_adapted_model_is_tuned_on_only_while_its_whole_chain_holds(
    spoil: Callable[[World], Any], expected: tuple[Reason, int]
) -> None:
    world = parent_world()
    assert told(world, job(world, MODEL))[0] is None
    spoil(world)
    assert told(world, job(world, MODEL))[:2] == expected


def test_a_manifest_that_covers_calls_does_not_cover_tuning() -> None:
    world = tuning_world()
    assert told(world, job(world, MODEL)) == (
        Reason.OPERATION_NOT_COVERED,
        3,
        f"the manifest does not cover {TUNE} in this environment",
    )


def test_a_deployment_is_tuned_as_what_it_is_bound_to() -> None:
    world = tuning_world()
    call = job(world, DEPLOYMENT, deployments=(DEPLOYMENT,))
    assert told(world, call)[:2] == (Reason.DEPLOYMENT_UNBOUND, 2)
    world.bind_deployment(model=BASE, manifest=None)
    assert told(world, call)[0] is None
    world.specify(models=[f"openai/{DEPLOYMENT}"])
    call = job(world, DEPLOYMENT, deployments=(DEPLOYMENT,))
    assert told(world, call) == unverified(f"it does not cover tuning openai/{BASE}")


def test_a_customer_specifies_only_for_jurisdictions_that_it_is_granted() -> None:
    world = tuning_world()
    world.join("european", grant("customer", jurisdictions=("eu",)))
    world.specify(signer="european")
    assert told(world) == (None, -1, "")
    world.declare(
        label="both",
        jurisdictions=["eu", "us"],
        window=window(1, 20),
        baseModels=[],
        tuningModels=["openai/gpt-4o-*"],
    )
    detail = "signed by european: no customer of every environment it names and the one that tunes"
    assert told(world) == unverified(detail)
    world.specify()
    assert told(world) == (None, -1, "")
