"""Law 2 of what policies see: losing a file takes evidence from the facts, and adds none.

A policy that asks "is there a result, an approval, a declaration that …" can so never admit a call
for the loss of a file: everything that it is asked about afterwards, it was asked about before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sidecar.core.call import Call
from sidecar.core.facts import Facts, to_input
from sidecar.core.predicates import APPROVAL, DEPLOYMENT_BINDING, MANIFEST
from sidecar.core.proving import MAX_PROOFS, proofs, prove
from sidecar.core.window import rfc3339
from tests.support.simulator.constants import (
    APPROVERS,
    BASE,
    CHILD,
    DEPLOYMENT,
    MODEL,
    NOW,
    OPERATION,
)
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import (
    approval_predicate,
    manifest_predicate,
    result_predicate,
    sha,
    statement,
    suites,
    window,
)
from tests.support.simulator.world import World, admitted_world, credential, tuned_on_world
from tests.unit.core.deployed import CALL as DEPLOYED
from tests.unit.core.deployed import deployed_world

CALL = Call("openai", OPERATION, (MODEL,))


def asked(world: World, call: Call = CALL) -> list[Facts]:
    """What policies are asked about, in order."""
    found = proofs(call, credential(), world.state(), NOW)
    return [prove(call, credential(), each, rfc3339(NOW), "n") for each in found]


def scored(score: float) -> list[dict[str, Any]]:
    """The configuration of a result in which every suite has this score."""
    predicate = result_predicate(suites())
    for entry in predicate["configuration"]:
        entry["annotations"]["score"] = score
    found: list[dict[str, Any]] = predicate["configuration"]
    return found


def two_results(world: World) -> None:
    world.join("lab", grant("evaluator"))
    world.result("lower", configuration=scored(0.91), window=window(5, 29))
    world.result("other", signer="lab", configuration=scored(0.97), window=window(2, 9))


def two_approvals(world: World) -> None:
    world.join("board", grant("customer"))
    world.approve("customer", label="silent", declarations={}, window=window(5, 29))
    world.approve("customer", label="board", signer="board", conditions=["none"])


def cosigned_approval(world: World) -> None:
    world.join("council", grant("customer"))
    predicate = approval_predicate("customer", declarations={"x": "y"})
    payload = statement(APPROVAL, MODEL, world.digests["manifest"], predicate)
    world.sign("cosigned", payload, "customer", "council")


def two_declarations(world: World) -> None:
    world.join("parent", grant("customer", trust_domains=("acme.example",)))
    world.declare(label="second", signer="parent", riskClass="high", window=window(10, 20))


def two_manifests(world: World) -> None:
    world.bind("second", declarations={"gpai-modification": "major"}, window=window(5, 20))
    world.result("second:result", manifest="second")
    for role in APPROVERS:
        world.approve(role, label=f"second:{role}", manifest="second")


def two_producers(world: World) -> None:
    world.join("other-ml", grant("producer"))
    payload = statement(MANIFEST, MODEL, sha(f"job {MODEL}"), manifest_predicate())
    for label, signer in (("a", "producer"), ("b", "other-ml")):
        world.sign(label, payload, signer)
    world.evidence.pop("manifest")


def either_role(world: World) -> None:
    """An authority that evaluated and approved: it may count as one of the two."""
    world.grants["customer"] = (*world.grants["customer"], grant("evaluator"))
    world.result("own", signer="customer", configuration=scored(0.99))
    world.join("board", grant("customer"))
    world.approve("customer", label="board", signer="board", declarations={})


def evaluating_producer(world: World) -> None:
    world.grants["producer"] = (grant("producer"), grant("evaluator"))
    world.result("own", signer="producer", configuration=scored(0.99))


BESIDE: dict[str, Callable[[World], None]] = {
    "two results of each suite": two_results,
    "two approvals of one role": two_approvals,
    "an approval by two authorities": cosigned_approval,
    "two declarations": two_declarations,
    "two manifests": two_manifests,
    "a manifest by two producers": two_producers,
    "an evaluator that also approved": either_role,
    "a producer that also evaluated": evaluating_producer,
}


def contains(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether facts hold everything that others do: all but results and approvals is the same."""
    rows = list(zip(before["adaptations"], after["adaptations"], strict=True))
    same = {**before, "adaptations": ()} == {**after, "adaptations": ()}
    return same and all(_same_but_less(was, now) for was, now in rows)


def _same_but_less(was: dict[str, Any], now: dict[str, Any]) -> bool:
    rest = {"suites": (), "approvals": ()}
    return (
        {**was, **rest} == {**now, **rest}
        and all(each in was["approvals"] for each in now["approvals"])
        and all(
            {**a, "results": ()} == {**b, "results": ()}
            and all(each in a["results"] for each in b["results"])
            for a, b in zip(was["suites"], now["suites"], strict=True)
        )
    )


@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
def test_after_a_loss_policies_are_asked_about_nothing_new(beside: Callable[[World], None]) -> None:
    world = admitted_world()
    beside(world)
    before = [to_input(each) for each in asked(world)]
    admitted = 0
    for label in world.evidence:
        less = replace(world, evidence=dict(world.evidence))
        less.evidence.pop(label)
        for after in asked(less):
            admitted += 1
            assert any(contains(each, to_input(after)) for each in before), label
    assert admitted


def test_every_result_that_counts_is_shown_once_and_in_one_order() -> None:
    world = admitted_world()
    two_results(world)
    world.result("again", signer="lab", configuration=scored(0.97), window=window(2, 8))
    (facts,) = asked(world)
    expected = (
        {"performed": "2026-05-22T12:00:00Z", "score": 0.95, "evaluator": "evaluator"},
        {"performed": "2026-05-27T12:00:00Z", "score": 0.91, "evaluator": "evaluator"},
        {"performed": "2026-05-30T12:00:00Z", "score": 0.97, "evaluator": "lab"},
    )
    for suite in to_input(facts)["adaptations"][0]["suites"]:
        assert suite["results"] == expected


def test_every_approval_that_counts_is_shown_with_where_it_does() -> None:
    world = admitted_world()
    two_approvals(world)
    cosigned_approval(world)
    world.approve("customer", label="wide", jurisdictions=["eu", "us"], conditions=["wide"])
    world.approve("auditor", label="not required", signer="customer")
    (facts,) = asked(world)
    rows = [
        (e.role, e.authority, e.jurisdictions, e.conditions, e.declarations)
        for e in facts.adaptations[0].approvals
    ]
    usual, signed_off = ("human review of refusals",), {"model-risk-sign-off": "mr-2026-88"}
    customers = [row for row in rows if row[0] == "customer"]
    assert sorted(customers, key=str) == sorted(
        [
            ("customer", "board", ("eu",), ("none",), signed_off),
            ("customer", "council", ("eu",), usual, {"x": "y"}),
            ("customer", "customer", ("eu",), ("wide",), signed_off),
            ("customer", "customer", ("eu",), usual, signed_off),
            ("customer", "customer", ("eu",), usual, {"x": "y"}),
            ("customer", "customer", ("eu",), usual, {}),
        ],
        key=str,
    )
    assert rows == sorted(rows, key=lambda row: row[:2])
    assert {row[0] for row in rows} == set(APPROVERS)


def stale(world: World) -> None:
    two_results(world)
    world.parties["lab"].expires = NOW


def withdrawn(world: World) -> None:
    two_results(world)
    world.parties["lab"].withdraw("result", world.digests["other"])


def retired_key(world: World) -> None:
    two_results(world)
    world.parties["lab"].rotate()


def ended(world: World) -> None:
    world.join("lab", grant("evaluator"))
    world.result("other", signer="lab", configuration=scored(0.97), window=window(9, 0))
    two_approvals(world)
    world.approve("customer", label="board", signer="board", window=window(9, 0))


@pytest.mark.parametrize("beside", [stale, withdrawn, retired_key, ended])
def test_what_no_decision_can_rest_on_is_shown_to_no_policy(
    beside: Callable[[World], None],
) -> None:
    world = admitted_world()
    beside(world)
    (facts,) = asked(world)
    adaptation = facts.adaptations[0]
    speaking = {r.evaluator for s in adaptation.suites for r in s.results}
    assert speaking == {"evaluator"}
    assert "board" not in {each.authority for each in adaptation.approvals}


def test_an_authority_counts_in_one_role_at_a_time_and_in_either() -> None:
    world = admitted_world()
    either_role(world)
    shown = [
        (
            {r.evaluator for s in facts.adaptations[0].suites for r in s.results},
            {a.authority for a in facts.adaptations[0].approvals if a.role == "customer"},
        )
        for facts in asked(world)
    ]
    assert shown == [
        ({"evaluator", "customer"}, {"board"}),
        ({"evaluator"}, {"board", "customer"}),
    ]


def test_the_producer_of_a_model_never_shows_as_its_evaluator() -> None:
    world = admitted_world()
    evaluating_producer(world)
    (facts,) = asked(world)
    assert {r.evaluator for s in facts.adaptations[0].suites for r in s.results} == {"evaluator"}


def two_providers() -> World:
    world = deployed_world()
    world.join("cloud", grant("provider", base_models=("openai/**",)))
    world.bind_deployment(label="second", signer="cloud", declarations={"processing": "region"})
    predicate = {
        "provider": "openai",
        "deployment": DEPLOYMENT,
        "model": MODEL,
        "window": window(1, 1),
        "declarations": {"sku": "x"},
    }
    payload = statement(DEPLOYMENT_BINDING, DEPLOYMENT, world.digests["manifest"], predicate)
    world.sign("cosigned", payload, "provider", "cloud")
    return world


def test_each_binding_of_a_deployment_and_each_of_its_signers_is_asked_about() -> None:
    world = two_providers()
    bound = [(d.authority, d.declarations) for f in asked(world, DEPLOYED) for d in f.deployments]
    assert sorted(bound, key=str) == [
        ("cloud", {"processing": "region"}),
        ("cloud", {"sku": "x"}),
        ("provider", {"sku": "x"}),
        ("provider", {}),
    ]
    before = [to_input(each) for each in asked(world, DEPLOYED)]
    for label in ("binding", "second", "cosigned"):
        less = replace(world, evidence={k: v for k, v in world.evidence.items() if k != label})
        found = asked(less, DEPLOYED)
        assert found
        assert all(any(contains(b, to_input(each)) for b in before) for each in found)


def test_the_end_of_a_binding_is_its_own_whatever_follows() -> None:
    """Else losing the one that follows would show an end that is further away."""
    world = deployed_world()
    world.bind_deployment(label="follows", window=window(-0.5, 1))
    (facts,) = asked(world, DEPLOYED)
    assert facts.deployments[0].not_after == rfc3339(NOW + timedelta(days=1))
    assert world.put(DEPLOYED).valid_until < NOW + timedelta(days=1)


def test_a_waiver_by_two_regulators_shows_both() -> None:
    world = admitted_world()
    world.join("second", grant("regulator"))
    for signer in ("regulator", "second"):
        world.waive("eu.art10", label=signer, signer=signer)
    (facts,) = asked(world)
    assert [each.authority for each in facts.waivers] == ["regulator", "second"]


def test_two_names_are_combined_in_every_way_and_each_is_asked_about_once() -> None:
    world = tuned_on_world()
    two_manifests(world)
    digest = {"sha256": world.digests["manifest"]}
    model = {"provider": "openai", "id": CHILD, "base": MODEL, "parent": digest}
    predicate = {**manifest_predicate(model=CHILD), "model": model, "declarations": {"a": "b"}}
    world.sign("other", statement(MANIFEST, CHILD, sha(f"job {CHILD}"), predicate), "producer")
    world.result("other:result", manifest="other", model=CHILD)
    for role in APPROVERS:
        world.approve(role, label=f"other:{role}", manifest="other", model=CHILD)
    call = Call("openai", OPERATION, (MODEL, CHILD, BASE))
    pairs = [tuple(a.manifest for a in facts.adaptations) for facts in asked(world, call)]
    parents = [world.digests["second"], world.digests["manifest"]]
    children = sorted(
        (world.digests["child"], world.digests["other"]), key=lambda d: pairs.index((parents[0], d))
    )
    assert pairs == [(a, b) for a in parents for b in children]


def test_policies_are_asked_about_so_many_choices_and_no_more() -> None:
    world = admitted_world()
    for number in range(MAX_PROOFS + 2):
        world.declare(label=str(number), window=window(10, 20), owner=f"desk {number}")
    assert len(asked(world)) == MAX_PROOFS
