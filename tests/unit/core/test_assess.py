"""The predicate, step by step: which reason each break gives, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from sidecar.core.assess import assess
from sidecar.core.assessment import STEPS
from sidecar.core.call import Call
from sidecar.core.predicates import MANIFEST
from sidecar.core.reasons import Reason
from sidecar.core.validity import LONGEST_VALIDITY
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
from tests.support.simulator.predicates import manifest_predicate, sha, statement, suite, window
from tests.support.simulator.world import World, admitted_world, credential, refusal, tuned_on_world
from tests.unit.core.breaks import ENVIRONMENT_AND_MANIFEST, Break, rebind
from tests.unit.core.breaks_of_approval import RESULTS_AND_APPROVALS


def told(world: World, *models: str, **changes: Any) -> tuple[Reason | None, str, int]:
    """Reason, detail and step of the finding that decided."""
    reason, step, detail = refusal(world.ask(*models, **changes))
    return reason, detail, step


def test_a_model_with_every_conjunct_is_admissible() -> None:
    assessment = admitted_world().ask()
    assert assessment.admissible
    assert [finding.step for finding in assessment.findings] == [0, 1, 2, 3, 4, 5, 6, 6, 7]
    assert assessment.constituents == (
        "customer",
        "evaluator",
        "producer",
        "provider",
        "regulator",
    )
    assert len(STEPS) == 8


def test_a_model_tuned_on_from_an_adapted_one_is_admissible_with_its_whole_lineage() -> None:
    world = tuned_on_world()
    assessment = world.ask(CHILD)
    assert assessment.reason is None
    assert set(assessment.manifests) == {world.digests["child"], world.digests["manifest"]}


def test_a_listed_base_model_is_admissible_un_adapted() -> None:
    assessment = admitted_world().ask(BASE)
    assert assessment.reason is None
    assert assessment.manifests == ()
    assert assessment.constituents == ("customer", "provider")


def test_every_model_of_a_request_must_be_admissible() -> None:
    world = admitted_world()
    assert told(world, MODEL, BASE)[0] is None
    assert told(world, BASE, "ft:other")[0] is Reason.MANIFEST_MISSING


CASES = [*ENVIRONMENT_AND_MANIFEST, *RESULTS_AND_APPROVALS]


@pytest.mark.parametrize(
    ("break_it", "reason", "step", "detail"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_each_break_is_refused_with_the_reason_of_its_step(
    break_it: Break, reason: Reason, step: int, detail: str
) -> None:
    world = admitted_world()
    assert world.ask().reason is None
    break_it(world)
    assert told(world) == (reason, detail, step)


@pytest.mark.parametrize(
    ("role", "reason", "step"),
    [
        ("producer", Reason.MANIFEST_UNVERIFIED, 3),
        ("evaluator", Reason.PREACTIVATION_MISSING, 4),
        ("provider", Reason.APPROVAL_MISSING, 5),
        ("customer", Reason.APPROVAL_MISSING, 5),
        ("regulator", Reason.APPROVAL_MISSING, 5),
    ],
)
def test_a_grant_counts_for_the_models_it_names_and_no_others(
    role: str, reason: Reason, step: int
) -> None:
    world = admitted_world()
    held = world.grants[role]
    for models, expected in (((f"openai/{MODEL}",), None), (("openai/ft:other",), reason)):
        world.grants[role] = tuple(replace(each, models=models) for each in held)
        failed = world.ask().failed
        found = (None, step) if failed is None else (failed.reason, failed.step)
        assert found == (expected, step)


def test_a_call_that_names_nothing_is_refused_and_not_vacuously_admitted() -> None:
    state = admitted_world().state()
    unnamed, unused = "names no operation or no model", "marks a name as a deployment"
    unused += " that it does not use"
    modelless = "names a model where none can be"
    for call, detail in (
        (Call("openai", OPERATION, ()), "names no model"),
        (Call("openai", "", (MODEL,)), unnamed),
        (Call("", OPERATION, (MODEL,)), unnamed),
        (Call("openai", OPERATION, (MODEL, "")), unnamed),
        (Call("openai", OPERATION, (MODEL,), deployments=("prod",)), unused),
        (Call("openai", "", (), modelless=True), unnamed),
        (Call("", "files.retrieve", (), modelless=True), unnamed),
        (Call("openai", "files.retrieve", (MODEL,), modelless=True), modelless),
        (Call("openai", "files.retrieve", (), tuned=(MODEL,), modelless=True), modelless),
        (Call("openai", "files.retrieve", (), deployments=("prod",), modelless=True), unused),
    ):
        assessment = assess(call, credential(), state, NOW)
        assert refusal(assessment) == (Reason.MALFORMED_REQUEST, 0, detail)
        assert assessment.valid_until == NOW


def test_an_expired_credential_is_refused_at_its_very_end() -> None:
    world = admitted_world()
    call, state = Call("openai", OPERATION, (MODEL,)), world.state()
    at_end = assess(call, credential(expires=NOW), state, NOW)
    assert (at_end.reason, at_end.failed and at_end.failed.detail) == (
        Reason.CREDENTIAL_EXPIRED,
        "the credential has expired",
    )


def test_an_unlisted_base_model_is_refused_by_name() -> None:
    world = admitted_world()
    assert told(world, "gpt-4.1-mini") == (
        Reason.BASE_MODEL_NOT_LISTED,
        "a base model that the environment's declaration does not list",
        2,
    )


def test_a_customer_cannot_list_an_adapted_model_as_if_it_were_a_base_model() -> None:
    world = admitted_world()
    world.evidence.pop("manifest")
    world.declare(baseModels=["openai/**"])
    assert told(world)[0] is Reason.MANIFEST_MISSING


@pytest.mark.parametrize(
    "name",
    [
        *(MODEL, "ft:gpt-4o:acme::x", "FT:gpt-4o:acme::x", f"{MODEL}:ckpt-step-10"),
        "gpt-4o-mini-2024-07-18.ft-0e208cf33a6a466994aff31a08aba678",
        "arn:aws:bedrock:eu-west-1:111122223333:custom-model/vendor.base-v1:0/abc123",
        "arn:aws-us-gov:bedrock:us-gov-west-1:111122223333:imported-model/abc123",
    ],
)
def test_no_pattern_however_wide_makes_a_base_model_of_what_says_it_is_adapted(name: str) -> None:
    """The operator's ``**`` and the customer's ``*`` were meant for base models."""
    world = admitted_world()
    world.evidence.pop("manifest")
    world.grants["provider"] = (grant("provider", base_models=("**",)),)
    world.declare(baseModels=["**"])
    assert told(world, "any-base-model")[0] is None
    assert told(world, name)[:2] == (
        Reason.MANIFEST_MISSING,
        "no manifest, and no known base model",
    )


def test_without_the_providers_rule_no_name_is_a_base_models() -> None:
    world = admitted_world()
    world.grants["provider"] = (grant("provider", base_models=("**",)),)
    world.declare(baseModels=["**"])
    state = world.state()
    unruled = replace(state, operator=replace(state.operator, adapted_names=None))
    call = Call("openai", OPERATION, ("any-base-model",))
    outcomes = [assess(call, credential(), each, NOW).reason for each in (state, unruled)]
    assert outcomes == [None, Reason.MANIFEST_MISSING]


def test_the_declaration_that_begins_last_is_in_force() -> None:
    world = admitted_world()
    world.declare(label="newer", purpose="scoring", window=window(1, 25))
    assert told(world)[0] is Reason.ENVIRONMENT_NOT_COVERED


def test_a_parent_that_is_left_out_is_no_base_model_under_a_wide_grant() -> None:
    """Otherwise a producer hides what its model was tuned on, and every withdrawal of that."""
    world = tuned_on_world()
    world.grants["provider"] = (*world.grants["provider"], grant("provider", base_models=("**",)))
    world.evidence.pop("manifest")
    rebind(world, "child", model={"provider": "openai", "id": CHILD, "base": MODEL})
    assert told(world, CHILD)[:2] == (
        Reason.BASE_MODEL_NOT_LISTED,
        f"no provider is granted the base model {MODEL}",
    )


def test_a_parent_that_is_unknown_hidden_foreign_or_unsigned_is_refused() -> None:
    unknown = tuned_on_world()
    unknown.evidence.pop("manifest")
    assert told(unknown, CHILD) == (
        Reason.MANIFEST_MISSING,
        f"the parent manifest of {CHILD} is not known",
        2,
    )
    hidden = tuned_on_world()
    rebind(hidden, "child", model={"provider": "openai", "id": CHILD, "base": MODEL})
    assert told(hidden, CHILD)[:2] == (
        Reason.MANIFEST_UNVERIFIED,
        f"{MODEL} is an adapted model, but its manifest is not given as the parent",
    )
    foreign = tuned_on_world()
    parent = {"sha256": foreign.digests["manifest"]}
    model = {"provider": "openai", "id": CHILD, "base": BASE, "parent": parent}
    rebind(foreign, "child", model=model)
    unsigned = tuned_on_world()
    unsigned.bind(signer="stranger")
    for world in (foreign, unsigned):
        assert told(world, CHILD)[:2] == (
            Reason.MANIFEST_UNVERIFIED,
            f"the parent manifest of {CHILD} does not count",
        )


def test_an_endless_chain_of_parents_is_refused() -> None:
    world = admitted_world()
    previous, digest = MODEL, world.digests["manifest"]
    for number in range(17):
        name = f"ft:chain-{number}"
        model = {"provider": "openai", "id": name, "base": previous, "parent": {"sha256": digest}}
        predicate = {**manifest_predicate(), "model": model}
        digest = world.sign(name, statement(MANIFEST, name, sha(name), predicate), "producer")
        previous = name
    assert told(world, "ft:chain-15")[0] is Reason.PREACTIVATION_MISSING
    assert told(world, "ft:chain-16")[:2] == (
        Reason.MANIFEST_UNVERIFIED,
        "the parent manifest of ft:chain-0 is too far up",
    )


def test_a_regulator_for_two_jurisdictions_fills_one_role() -> None:
    world = admitted_world()
    world.declare(jurisdictions=["eu", "us"])
    suites = [*manifest_predicate()["envelope"]["suites"], suite("compliance", "us")]
    rebind(world, envelope={"suites": suites})
    for role in APPROVERS:
        world.approve(role, jurisdictions=["eu", "us"])
    assert told(world)[0] is None
    world.approve("regulator", jurisdictions=["eu"])
    assert told(world)[:2] == (
        Reason.APPROVAL_OUT_OF_SCOPE,
        "the approval does not cover this call by regulator for us",
    )


def test_a_jurisdictions_further_role_can_be_filled() -> None:
    world = admitted_world()
    world.jurisdiction_roles = {"eu": ("auditor",)}
    world.join("audit", grant("auditor"))
    world.approve("auditor", signer="audit")
    assert told(world)[0] is None


def test_an_assignment_is_found_where_the_first_choice_blocks_it() -> None:
    world = admitted_world()
    world.join("both", grant("customer"), grant("regulator"))
    world.approve("customer", label="both:customer", signer="both", window=window(10, 28))
    world.evidence.pop("approval:regulator")
    world.approve("regulator", label="both:regulator", signer="both")
    assessment = world.ask()
    assert assessment.reason is None
    filled = {p.role: p.signer.authority for p in assessment.chains[0].approvals}
    assert filled == {"provider": "provider", "customer": "customer", "regulator": "both"}


def test_a_provider_of_record_is_named_as_such() -> None:
    world = admitted_world()
    grants = world.grants["provider"]
    world.grants["provider"] = (
        grant("provider", base_models=grants[0].base_models, of_record=True),
    )
    assessment = world.ask()
    assert [(p.role, p.of_record) for p in assessment.chains[0].approvals] == [
        ("customer", False),
        ("provider", True),
        ("regulator", False),
    ]


def ends(change: Callable[[World], object]) -> datetime:
    world = admitted_world()
    change(world)
    call = Call("openai", OPERATION, (MODEL,))
    far = credential(expires=NOW + 300 * DAY)
    assessment = assess(call, far, world.state(), NOW)
    assert assessment.reason is None
    return assessment.valid_until


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.declare(window=window(20, 0.5)),
        lambda w: w.result(window=window(20, 0.5)),
        lambda w: w.approve("regulator", window=window(20, 0.5)),
        lambda w: setattr(w.parties["evaluator"], "expires", NOW + DAY / 2),
        lambda w: setattr(w.parties["producer"], "key_window", window(300, 0.5)),
        lambda w: setattr(w.parties["customer"], "key_window", window(300, 0.5)),
        lambda w: setattr(w.parties["provider"], "key_window", window(300, 0.5)),
        lambda w: rebind(w, window=window(20, 0.5)),
        lambda w: rebind(
            w,
            model={
                "provider": "openai",
                "id": MODEL,
                "base": BASE,
                "shutdown": "2026-06-02T00:00:00Z",
            },
        ),
        lambda w: w.parties["regulator"].withdraw("model", f"openai/{MODEL}", NOW + DAY / 2),
    ],
)
def test_a_decision_ends_with_the_first_thing_it_relies_on(change: Callable[[World], Any]) -> None:
    assert ends(change) == NOW + DAY / 2


def test_no_decision_outlives_a_day() -> None:
    assert ends(lambda _: None) == NOW + LONGEST_VALIDITY == NOW + timedelta(days=1)


def test_the_environment_is_named_in_every_admissible_assessment() -> None:
    environment = admitted_world().ask().environment
    assert environment is not None
    assert environment.statement.subject.name == ENV
