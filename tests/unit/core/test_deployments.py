"""A deployment runs what a provider's binding in force says, and nothing on its own name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from sidecar.core import facts as facts_module
from sidecar.core.assessment import Assessment, Deployed, Finding
from sidecar.core.call import Call
from sidecar.core.evidence import Signer
from sidecar.core.predicates import DEPLOYMENT_BINDING
from sidecar.core.proving import prove
from sidecar.core.reasons import Reason
from sidecar.core.window import rfc3339
from tests.support.simulator.constants import (
    APPROVERS,
    BASE,
    DAY,
    DEPLOYMENT,
    ENV,
    MODEL,
    NOW,
    OPERATION,
)
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import sha, stamp, statement, window
from tests.support.simulator.world import World, admitted_world, credential
from tests.unit.core.deployments import CALL, UNBOUND, based_world, deployed_world, told


def test_a_deployment_is_admitted_as_the_model_it_is_bound_to() -> None:
    world = deployed_world()
    direct, assessment = world.ask(), world.put(CALL)
    (chain,), (plain,) = assessment.chains, direct.chains
    state = world.state()
    signer = Signer("provider", world.parties["provider"].key.fingerprint)
    (binding,) = state.bindings["openai", DEPLOYMENT]
    until = NOW + DAY
    assert chain == dataclasses.replace(
        plain, model=DEPLOYMENT, deployed=Deployed(binding, signer, False, until)
    )
    bound = f"bound to {MODEL} by provider until {stamp(until)}"
    assert assessment.findings[2] == Finding(2, DEPLOYMENT, None, bound)


def test_a_deployment_may_run_a_listed_base_model() -> None:
    world = based_world()
    assessment = world.put(CALL)
    assert (assessment.reason, assessment.constituents) == (None, ("customer", "provider"))
    assert [(c.model, c.base, c.manifest) for c in assessment.chains] == [(DEPLOYMENT, BASE, None)]


def test_the_environment_must_list_the_base_model_behind_the_deployment_not_its_name() -> None:
    world = based_world()
    world.declare(baseModels=[f"openai/{DEPLOYMENT}"])
    assert told(world)[:2] == (Reason.BASE_MODEL_NOT_LISTED, 2)


def test_a_deployments_name_never_resolves_by_itself() -> None:
    """Not even where it looks like a model that could be called."""
    for model in (MODEL, BASE):
        world = admitted_world()
        assert told(world, Call("openai", OPERATION, (model,)))[0] is None
        call = Call("openai", OPERATION, (model,), deployments=(model,))
        assert told(world, call) == UNBOUND


def test_what_is_not_named_as_a_deployment_never_uses_a_binding() -> None:
    world = deployed_world()
    assert told(world, Call("openai", OPERATION, (DEPLOYMENT,)))[:2] == (
        Reason.MANIFEST_MISSING,
        2,
    )
    world.bind_deployment(MODEL, model=BASE, manifest=None, label="shadow")
    (chain,) = world.ask(MODEL).chains
    assert (chain.deployed, chain.base, chain.manifest is None) == (None, BASE, False)


def test_a_binding_holds_for_its_own_provider_only() -> None:
    world = deployed_world()
    assert told(world, dataclasses.replace(CALL, provider="azure"))[:2] == UNBOUND[:2]
    world.bind_deployment(provider="azure")
    assert told(world) == UNBOUND


REFUSED: list[tuple[str, Callable[[World], Any], tuple[Reason, int, str]]] = [
    ("no binding", lambda w: w.evidence.pop("binding"), UNBOUND),
    ("over", lambda w: w.bind_deployment(window=window(3, -1)), UNBOUND),
    ("to come", lambda w: w.bind_deployment(window=window(-1, 3)), UNBOUND),
    *(
        (f"signed by {name}", lambda w, n=name: w.bind_deployment(signer=n), UNBOUND)
        for name in ("customer", "producer", "regulator", "evaluator", "stranger")
    ),
    (
        "a provider of other models",
        lambda w: w.grants.update(provider=(grant("provider", models=("openai/ft:other*",)),)),
        UNBOUND,
    ),
    (
        "a provider that is granted the deployment's name and not the model",
        lambda w: w.grants.update(provider=(grant("provider", models=(f"openai/{DEPLOYMENT}",)),)),
        UNBOUND,
    ),
    (
        "a provider that answers for the base model only",
        lambda w: w.grants.update(
            provider=(grant("provider", models=("x/*",), base_models=("openai/**",)),)
        ),
        UNBOUND,
    ),
    (
        "a provider elsewhere",
        lambda w: w.grants.update(provider=(grant("provider", environments=("spiffe://b/*",)),)),
        UNBOUND,
    ),
    (
        "a provider of another sector",
        lambda w: w.grants.update(provider=(grant("provider", sectors=("health",)),)),
        UNBOUND,
    ),
    (
        "a provider of another jurisdiction",
        lambda w: w.grants.update(provider=(grant("provider", jurisdictions=("us",)),)),
        UNBOUND,
    ),
    (
        "a key that is over",
        lambda w: setattr(w.parties["provider"], "key_window", window(300, -1)),
        UNBOUND,
    ),
    (
        "an unknown model",
        lambda w: w.bind_deployment(model="ft:unknown"),
        (Reason.MANIFEST_MISSING, 2, "no manifest, and no known base model"),
    ),
    (
        "a manifest that another one replaced",
        lambda w: (
            w.bind("next", supersedes={"sha256": w.digests["manifest"]}),
            w.result("next:result", manifest="next"),
            *(w.approve(r, label=f"next:{r}", manifest="next") for r in APPROVERS),
        ),
        (
            Reason.DEPLOYMENT_UNBOUND,
            2,
            f"bound to something else than the manifest of {MODEL} that is in force",
        ),
    ),
    (
        "an adapted model as if it were a base model",
        lambda w: (
            w.grants.update(provider=(grant("provider", base_models=("openai/**",)),)),
            w.bind_deployment(manifest=None),
        ),
        (
            Reason.DEPLOYMENT_UNBOUND,
            2,
            f"bound to something else than the manifest of {MODEL} that is in force",
        ),
    ),
    (
        "a base model as if it were adapted",
        lambda w: w.bind_deployment(model=BASE),
        (
            Reason.DEPLOYMENT_UNBOUND,
            2,
            f"bound to a manifest of {BASE}, which is a base model",
        ),
    ),
]


@pytest.mark.parametrize(
    ("spoil", "expected"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_any_other_binding_is_refused(
    spoil: Callable[[World], Any], expected: tuple[Reason, int, str]
) -> None:
    world = deployed_world()
    assert told(world)[0] is None
    spoil(world)
    assert told(world) == expected


@pytest.mark.parametrize("role", ["producer", "customer", "evaluator"])
def test_a_base_model_is_bound_only_by_a_provider_that_answers_for_it(role: str) -> None:
    world = based_world()
    assert told(world)[0] is None
    world.bind_deployment(model=BASE, manifest=None, signer=role)
    assert told(world) == UNBOUND
    world.join("other", grant("provider"))
    world.bind_deployment(model=BASE, manifest=None, signer="other")
    assert told(world) == UNBOUND


def test_a_provider_of_record_is_named_as_such_for_a_binding() -> None:
    world = admitted_world()
    world.join("record", grant("provider", of_record=True))
    world.bind_deployment(signer="record")
    assert world.put(CALL).of_record == ("record",)


def facts(assessment: Assessment, call: Call = CALL) -> facts_module.Facts:
    return prove(call, credential(), assessment, rfc3339(NOW), "n")


def test_the_facts_say_what_the_request_named_and_what_that_is_bound_to() -> None:
    world = deployed_world()
    direct = facts(world.ask(), Call("openai", OPERATION, (MODEL,)))
    found = facts(world.put(CALL))
    (adaptation,) = direct.adaptations
    assert found == dataclasses.replace(
        direct,
        request=dataclasses.replace(direct.request, models=(DEPLOYMENT,), run=(DEPLOYMENT,)),
        adaptations=(dataclasses.replace(adaptation, model=DEPLOYMENT),),
        deployments=(
            facts_module.DeploymentFacts(
                DEPLOYMENT, MODEL, "provider", False, stamp(NOW + DAY), {}
            ),
        ),
    )
    based = facts(based_world().put(CALL))
    assert based.adaptations == ()
    assert [(d.name, d.model) for d in based.deployments] == [(DEPLOYMENT, BASE)]


def test_a_waiver_for_a_model_counts_under_every_name_the_request_gives_it() -> None:
    world = deployed_world()
    world.waive("eu.rule", MODEL, world.digests["manifest"])
    both = Call("openai", OPERATION, (MODEL, DEPLOYMENT, BASE), deployments=(DEPLOYMENT,))
    assert [w.subject for w in facts(world.put(both), both).waivers] == [MODEL, DEPLOYMENT]
    assert [w.subject for w in facts(world.put(CALL)).waivers] == [DEPLOYMENT]


def test_a_waiver_that_calls_the_manifest_by_another_name_is_dropped() -> None:
    world = deployed_world()
    world.waive("eu.rule", DEPLOYMENT, world.digests["manifest"])
    world.waive("eu.rule", "spiffe://acme.example/env/other", sha(ENV), label="second")
    assert world.put(CALL).waivers == ()


def test_a_binding_names_its_own_deployment() -> None:
    world = admitted_world()
    predicate = {"provider": "openai", "deployment": "b", "model": MODEL, "window": window()}
    world.sign("a", statement(DEPLOYMENT_BINDING, "a", sha("x"), predicate), "provider")
    state = world.state()
    assert [entry.why for entry in state.rejected] == [
        "deployment binding: the subject is not the deployment it binds"
    ]
    assert dict(state.bindings) == {}
