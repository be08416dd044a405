"""Law 1: whoever can agree can object. No grant counts for a yes and not for the no that undoes it.

What a yes asks of a grant differs by what is signed: a suite without a jurisdiction asks for none,
the specification of a parent for no environment, a waiver of an environment for no model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sidecar.core.assessment import ANNOUNCED, Ending
from sidecar.core.call import Call
from sidecar.core.documents import WithdrawalKind as K
from sidecar.core.predicates import MANIFEST
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import BASE, CHILD, DAY, ENV, MODEL, NOW, OPERATION
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import manifest_predicate, sha, statement, suite, window
from tests.support.simulator.world import World, admitted_world, tuned_on_world

(ELSEWHERE,) = manifest_predicate()["environments"]
PLACE = {**ELSEWHERE, "id": "spiffe://lab.example/env/*", "jurisdictions": ["eu"]}


def far_evaluator() -> World:
    """An evaluator of another jurisdiction countersigned the suites that have none."""
    world = admitted_world()
    world.join("far", grant("evaluator", jurisdictions=("jp",)))
    world.result(suites=[suite("compliance")])
    world.result("far", signer="far", suites=[suite("adversarial"), suite("regression")])
    assert world.ask().reason is None
    return world


def test_an_evaluator_of_another_jurisdiction_withdraws_its_own_result() -> None:
    world = far_evaluator()
    world.parties["far"].withdraw(K.RESULT, world.digests["far"])
    assert world.ask().reason is Reason.WITHDRAWN


def test_an_evaluator_of_another_jurisdiction_publishes_a_failure() -> None:
    world = far_evaluator()
    world.result("again", signer="evaluator")  # another one passes the same suites
    world.parties["far"].fail(world.digests["manifest"], suite("adversarial"))
    assert world.ask().reason is Reason.PREACTIVATION_FAILED


def test_an_evaluator_of_another_jurisdiction_must_have_been_heard_once() -> None:
    world = admitted_world()
    world.join("far", grant("evaluator", jurisdictions=("jp",)))
    assert world.ask().reason is None
    del world.parties["far"]
    assert world.ask().reason is Reason.TRUST_STALE


def of_the_manifest(world: World) -> tuple[K, str]:
    return K.MANIFEST, world.digests["manifest"]


def of_a_corpus(_: World) -> tuple[K, str]:
    return K.CORPUS, sha(f"training of {MODEL}")


@pytest.mark.parametrize("what", [of_the_manifest, of_a_corpus])
def test_the_producer_of_a_parent_in_another_jurisdiction_withdraws(
    what: Callable[[World], tuple[K, str]],
) -> None:
    world = tuned_on_world()
    world.join("maker", grant("producer", jurisdictions=("jp",)))
    world.bind(signer="maker")
    assert world.ask(CHILD).reason is None
    world.parties["maker"].withdraw(*what(world))
    assert world.ask(CHILD).reason is Reason.WITHDRAWN


def parent_of_another_customer() -> World:
    """A child is called here; its parent was tuned under the specification of another customer."""
    world = tuned_on_world()
    world.join("lab", grant("customer", environments=("spiffe://lab.example/**",)))
    under = {"sha256": world.specify(signer="lab", environments=[PLACE])}
    parent = {"sha256": world.bind(environments=[PLACE], specification=under)}
    model = {"provider": "openai", "id": CHILD, "base": MODEL, "parent": parent}
    child = {**manifest_predicate(model=CHILD), "model": model}
    world.sign("child", statement(MANIFEST, CHILD, sha(f"job {CHILD}"), child), "producer")
    world.result("child:result", manifest="child", model=CHILD)
    for role in ("provider", "customer", "regulator"):
        world.approve(role, label=f"child:approval:{role}", manifest="child", model=CHILD)
    assert world.ask(CHILD).reason is None
    return world


def of_the_specification(world: World) -> tuple[K, str]:
    return K.SPECIFICATION, world.digests["specification"]


def of_a_suite(_: World) -> tuple[K, str]:
    return K.EVALUATION, suite("regression")["digest"]["sha256"]


def of_its_key(world: World) -> tuple[K, str]:
    return K.KEY, world.parties["lab"].key.fingerprint


@pytest.mark.parametrize("what", [of_the_specification, of_a_suite, of_its_key])
def test_a_customer_elsewhere_withdraws_what_it_specified_for_a_parent(
    what: Callable[[World], tuple[K, str]],
) -> None:
    world = parent_of_another_customer()
    world.parties["lab"].withdraw(*what(world))
    assert world.ask(CHILD).reason is Reason.WITHDRAWN


def test_a_customer_elsewhere_withdraws_nothing_but_its_own() -> None:
    """It is no objector here: a stranger's no must not count because a file of it is there."""
    world = parent_of_another_customer()
    world.parties["lab"].withdraw(K.CORPUS, sha(f"training of {MODEL}"))
    assert world.ask(CHILD).reason is None


def test_another_signer_of_the_specification_is_enough() -> None:
    world = parent_of_another_customer()
    world.join("partner", grant("customer", environments=("spiffe://lab.example/**",)))
    world.specify("copy", signer="partner", environments=[PLACE])
    assert world.digests["copy"] == world.digests["specification"]
    world.parties["lab"].withdraw(K.KEY, world.parties["lab"].key.fingerprint)
    assert world.ask(CHILD).reason is None


def test_a_decision_ends_when_a_signer_elsewhere_announces_its_withdrawal() -> None:
    world = parent_of_another_customer()
    world.parties["lab"].withdraw(*of_the_specification(world), NOW + DAY / 2)
    answer = world.ask(CHILD)
    assert answer.reason is None
    assert Ending(NOW + DAY / 2, ANNOUNCED, "lab") in answer.endings


def test_whoever_vouches_for_the_credential_withdraws_its_environment() -> None:
    """Another customer declared it, and the grant of the first covers no model."""
    world = admitted_world()
    (own,) = world.grants["customer"]
    world.join("risk", replace(own, trust_domains=()))
    world.declare(signer="risk")
    world.approve("customer", signer="risk")
    world.grants["customer"] = (replace(own, models=("none/*",)),)
    assert world.ask().reason is None
    world.parties["customer"].withdraw(K.ENVIRONMENT, ENV)
    assert world.ask().reason is Reason.WITHDRAWN


def test_a_credential_ends_with_the_authority_that_vouches_for_it() -> None:
    """Another customer of the environment declares and approves; nobody else has its roots."""
    world = admitted_world()
    world.join("risk", replace(world.grants["customer"][0], trust_domains=()))
    world.declare(label="risk", signer="risk", window=window(1, 30))
    world.approve("customer", label="risk approves", signer="risk")
    assert world.ask().reason is None
    world.parties["regulator"].withdraw(K.AUTHORITY, "customer")
    assert world.ask().reason is Reason.WITHDRAWN


def test_a_base_model_needs_a_provider_that_is_not_withdrawn() -> None:
    world = admitted_world()
    call = Call("openai", OPERATION, (BASE,))
    world.parties["regulator"].withdraw(K.AUTHORITY, "provider")
    assert (world.put(call).reason, world.ask().reason) == (Reason.WITHDRAWN,) * 2
    world.join("reseller", *world.grants["provider"])
    world.approve("provider", label="reseller", signer="reseller")
    assert (world.put(call).reason, world.ask().reason) == (None, None)


def test_a_regulator_of_other_models_withdraws_its_waiver_of_the_environment() -> None:
    world = admitted_world()
    world.join("office", grant("regulator", models=("openai/ft:**",)))
    world.waive("eu.art10_data_governance", signer="office")
    call = Call("openai", OPERATION, (BASE,))
    assert [entry.signer.authority for entry in world.put(call).waivers] == ["office"]
    world.parties["office"].withdraw(K.WAIVER, world.digests["waiver"])
    answer = world.put(call)
    assert (answer.reason, answer.waivers) == (None, ())
