"""Steps 4 and 5 on a sandbox route: a granted evaluator calls a model that is not active yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sidecar.core.assess import assess
from sidecar.core.assessment import Assessment
from sidecar.core.call import Call, Reference
from sidecar.core.predicates import MANIFEST
from sidecar.core.proving import proofs, prove
from sidecar.core.reads import recording
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import BASE, CHILD, DEPLOYMENT, ENV, MODEL, NOW, OPERATION
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import manifest_predicate, sha, statement, suite
from tests.support.simulator.world import (
    World,
    admitted_world,
    credential,
    parties_world,
    refusal,
    tuned_on_world,
)

LAB = "spiffe://lab.example/env/evaluation"
EVERYWHERE = ("spiffe://**",)
CALL = Call("openai", OPERATION, (MODEL,), sandbox=True)


def with_lab(world: World) -> World:
    """Add an evaluator with an environment of its own; the regulator has no say about that one."""
    for name in ("provider", "producer"):
        world.grants[name] = tuple(
            replace(each, environments=EVERYWHERE) for each in world.grants[name]
        )
    world.join(
        "lab",
        grant("evaluator", environments=("spiffe://acme.example/**",), sandbox=(LAB,)),
        grant("customer", environments=(LAB,), trust_domains=("lab.example",), models=("none",)),
    )
    world.declare(LAB, label="lab", signer="lab", purpose="evaluation", sector="laboratory")
    return world


@pytest.fixture
def world() -> World:
    """A bound model without results and approvals, and a lab to evaluate it."""
    world = with_lab(parties_world())
    world.bind()
    return world


def asked(world: World, call: Call = CALL, environment: str = LAB) -> Assessment:
    caller = credential(environment)
    if environment == LAB:
        caller = credential(LAB, trust_domain="lab.example", authority="lab")
    return assess(call, caller, world.state(), NOW)


def reason(world: World, call: Call = CALL, environment: str = LAB) -> tuple[Reason | None, int]:
    return refusal(asked(world, call, environment))[:2]


def test_an_evaluator_reaches_a_bound_model_without_results_and_approvals(world: World) -> None:
    answer = asked(world)
    assert refusal(answer) == (None, -1, "")
    assert {f.subject for f in answer.findings if f.step in {4, 5}} == {MODEL}
    assert [f.detail for f in answer.findings if f.step in {4, 5}] == [
        "in the sandbox of lab; results are not asked for in the sandbox",
        "approvals are not asked for in the sandbox",
    ]
    (chain,) = answer.chains
    assert (chain.suites, chain.approvals) == ((), ())
    assert chain.producer is not None
    assert answer.constituents == ("lab", "producer", "provider")
    caller = credential(LAB, trust_domain="lab.example", authority="lab")
    facts = prove(CALL, caller, answer, "2026-06-01T12:00:00Z", "n")
    assert facts.request.sandbox
    assert facts.adaptations[0].approvals == ()


def test_of_two_producers_policies_are_asked_about_each_in_the_sandbox_too(world: World) -> None:
    world.join("other-ml", *world.grants["producer"])
    payload = statement(MANIFEST, MODEL, sha(f"job {MODEL}"), manifest_predicate())
    world.sign("manifest", payload, "producer", "other-ml")
    caller = credential(LAB, trust_domain="lab.example", authority="lab")
    found = proofs(CALL, caller, world.state(), NOW)
    shown = [prove(CALL, caller, each, "2026-06-01T12:00:00Z", "n").adaptations for each in found]
    assert [each.producer for (each,) in shown] == ["other-ml", "producer"]


def test_the_same_call_on_a_production_route_is_refused(world: World) -> None:
    assert reason(world, replace(CALL, sandbox=False)) == (Reason.ENVIRONMENT_NOT_COVERED, 3)


def test_no_production_credential_reaches_the_sandbox() -> None:
    world = with_lab(admitted_world())
    assert reason(world, replace(CALL, sandbox=False), ENV) == (None, -1)
    assert reason(world, CALL, ENV) == (Reason.SANDBOX_NOT_GRANTED, 4)
    world.declare(purpose="evaluation")  # its customer alone cannot make it a sandbox
    assert reason(world, CALL, ENV) == (Reason.SANDBOX_NOT_GRANTED, 4)


def test_a_granted_environment_of_another_purpose_is_no_sandbox(world: World) -> None:
    world.declare(LAB, label="lab", signer="lab", purpose="customer-support")
    assert reason(world) == (Reason.SANDBOX_NOT_GRANTED, 4)


@pytest.mark.parametrize(
    "narrowed",
    [
        {"role": "auditor"},
        {"sandbox": ()},
        {"sandbox": ("spiffe://lab.example/env/other",)},
        {"models": ("azure/**",)},
        {"sectors": ("finance",)},
        {"jurisdictions": ("us",)},
    ],
    ids=str,
)
def test_the_evaluators_grant_must_cover_what_is_evaluated(
    world: World, narrowed: dict[str, Any]
) -> None:
    first, second = world.grants["lab"]
    world.grants["lab"] = (replace(first, **narrowed), second)
    assert reason(world) == (Reason.SANDBOX_NOT_GRANTED, 4)


def test_a_producer_does_not_evaluate_its_own_model(world: World) -> None:
    sandbox = grant("evaluator", sandbox=(LAB,))
    world.grants["lab"] = world.grants["lab"][1:]
    world.grants["producer"] = (*world.grants["producer"], sandbox)
    assert reason(world) == (Reason.SANDBOX_NOT_GRANTED, 4)
    world.join("second", sandbox)  # another evaluator with the same sandbox
    assert reason(world) == (None, -1)


def test_a_manifest_without_a_producer_is_refused_as_elsewhere(world: World) -> None:
    world.bind(signer="stranger")
    answer = asked(world)
    assert answer.reason is Reason.MANIFEST_UNVERIFIED
    assert answer.chains[0].producer is None


def test_only_operations_of_the_manifest_and_its_jurisdictions_are_evaluated(world: World) -> None:
    assert reason(world, replace(CALL, operation="audio.speech")) == (
        Reason.OPERATION_NOT_COVERED,
        3,
    )
    world.open_jurisdictions()
    world.declare(LAB, label="lab", signer="lab", purpose="evaluation", jurisdictions=["uk"])
    assert reason(world) == (Reason.ENVIRONMENT_NOT_COVERED, 3)


def test_a_base_model_is_called_over_the_production_route(world: World) -> None:
    world.declare(LAB, label="lab", signer="lab", purpose="evaluation")
    base = replace(CALL, models=(BASE,))
    assert reason(world, replace(base, sandbox=False)) == (None, -1)
    assert reason(world, base) == (Reason.MANIFEST_MISSING, 2)


@pytest.mark.parametrize(
    "more",
    [
        {"tuned": (MODEL,)},
        {"modelless": True, "models": ()},
        {"owned": (Reference("response", "resp_1"),)},
    ],
    ids=str,
)
def test_the_sandbox_does_nothing_but_run_models(world: World, more: dict[str, Any]) -> None:
    assert reason(world, replace(CALL, **more)) == (Reason.UNSUPPORTED_OPERATION, 0)


def test_a_deployment_is_evaluated_through_its_binding(world: World) -> None:
    world.bind_deployment()
    call = replace(CALL, models=(DEPLOYMENT,), deployments=(DEPLOYMENT,))
    answer = asked(world, call)
    assert answer.admissible
    assert answer.chains[0].deployed is not None


def no_by_regulator(world: World) -> None:
    world.parties["regulator"].withdraw("corpus", sha(f"training of {MODEL}"))


def no_by_producer(world: World) -> None:
    world.parties["producer"].withdraw("manifest", world.digests["manifest"])


def no_about_a_suite(world: World) -> None:
    world.parties["regulator"].withdraw("evaluation", suite("regression")["digest"]["sha256"])


@pytest.mark.parametrize("no", [no_by_regulator, no_by_producer, no_about_a_suite])
def test_a_withdrawal_bites_in_the_sandbox(world: World, no: Callable[[World], None]) -> None:
    """The regulator's grant names no environment of the lab: its no counts all the same."""
    assert reason(world) == (None, -1)
    no(world)
    assert reason(world) == (Reason.WITHDRAWN, 6)


def test_a_withdrawal_by_one_that_is_granted_nothing_for_the_model_does_not(world: World) -> None:
    world.join("other", grant("regulator", models=("azure/**",)))
    world.parties["other"].withdraw("manifest", world.digests["manifest"])
    assert reason(world) == (None, -1)


def test_an_objector_that_is_stale_denies_in_the_sandbox(world: World) -> None:
    world.parties["regulator"].expires = NOW
    assert reason(world) == (Reason.TRUST_STALE, 7)


def test_a_published_failure_denies_every_other_evaluator(world: World) -> None:
    world.parties["evaluator"].fail(world.digests["manifest"], suite("regression"))
    assert reason(world) == (Reason.PREACTIVATION_FAILED, 4)


def test_the_evaluator_that_published_a_failure_can_look_again(world: World) -> None:
    world.parties["lab"].fail(world.digests["manifest"], suite("regression"))
    assert reason(world) == (None, -1)
    world.parties["evaluator"].fail(world.digests["manifest"], suite("regression"))
    assert reason(world) == (None, -1)
    world.parties["lab"].failures.clear()
    assert reason(world) == (Reason.PREACTIVATION_FAILED, 4)


def test_a_failure_of_a_parent_denies_its_child_in_the_sandbox() -> None:
    world = with_lab(tuned_on_world())
    child = replace(CALL, models=(CHILD,))
    assert reason(world, child) == (None, -1)
    world.parties["evaluator"].fail(world.digests["manifest"], suite("regression"))
    assert reason(world, child) == (Reason.PREACTIVATION_FAILED, 4)


def test_an_active_model_is_evaluated_again_in_the_sandbox() -> None:
    world = with_lab(admitted_world())
    assert reason(world) == (None, -1)


def test_a_lost_file_never_opens_the_sandbox(world: World) -> None:
    world.parties["regulator"].withdraw("corpus", sha(f"training of {MODEL}"))
    world.state()  # the gate has seen everything
    for label in tuple(world.evidence):
        kept = world.evidence.pop(label)
        assert not asked(world).admissible, label
        world.evidence[label] = kept


def test_a_lease_of_the_sandbox_ends_with_what_it_read(world: World) -> None:
    caller = credential(LAB, trust_domain="lab.example", authority="lab")
    before = world.state()
    state, reads = recording(before)
    assert assess(CALL, caller, state, NOW).admissible
    assert reads.unchanged(world.state(2), NOW)
    world.parties["evaluator"].fail(world.digests["manifest"], suite("regression"))
    assert not reads.unchanged(world.state(3), NOW)
