"""An operation that can reach no model: the environment, and nothing but it, is asked about."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from sidecar.core.assessment import Assessment, Finding
from sidecar.core.call import Call, Reference
from sidecar.core.proving import prove
from sidecar.core.reasons import Reason
from sidecar.core.window import rfc3339
from tests.support.simulator.constants import BASE, DAY, ENV, MODEL, NOW, OPERATION
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import window
from tests.support.simulator.world import World, admitted_world, credential

FILE = Call("openai", "files.retrieve", (), modelless=True)
REFERENCES = (Reference("response", "resp_1"), Reference("file", "file-2"), Reference("file", "3"))


def test_a_modelless_operation_is_admissible_by_its_environment_alone() -> None:
    world = admitted_world()
    for label in [name for name in world.evidence if name != "environment"]:
        world.evidence.pop(label)
    state = world.state()
    assert world.put(FILE) == Assessment(
        findings=(
            Finding(
                0, FILE.operation, None, "can reach no model: only the environment is asked about"
            ),
            Finding(1, ENV, None, "declared by customer"),
            Finding(6, ENV, None, "4 things relied on, none withdrawn"),
            Finding(7, "customer", None, "constituents fresh: 1, objectors heard: 5"),
        ),
        reason=None,
        environment=state.environments[ENV][0],
        chains=(),
        constituents=("customer",),
        manifests=(),
        valid_until=credential().expires,
        objectors=("customer", "evaluator", "producer", "provider", "regulator"),
        must_be_fresh=("customer", "provider", "regulator"),
        jurisdictions=("eu",),
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda w: w.evidence.pop("environment"), Reason.ENVIRONMENT_UNKNOWN),
        (lambda w: w.declare(window=window(20, -1)), Reason.ENVIRONMENT_UNKNOWN),
        (lambda w: w.declare(signer="producer"), Reason.ENVIRONMENT_UNKNOWN),
        (lambda w: w.grants.update(customer=(grant("customer"),)), Reason.CREDENTIAL_INVALID),
        (lambda w: w.parties["customer"].withdraw("environment", ENV), Reason.WITHDRAWN),
        (
            lambda w: w.parties["customer"].withdraw("environment", w.digests["environment"]),
            Reason.WITHDRAWN,
        ),
        (
            lambda w: w.parties["customer"].withdraw("key", w.parties["customer"].key.fingerprint),
            Reason.WITHDRAWN,
        ),
        (lambda w: setattr(w.parties["customer"], "expires", NOW), Reason.TRUST_STALE),
    ],
)
def test_a_modelless_operation_is_refused_with_its_environment(
    change: Callable[[World], Any], reason: Reason
) -> None:
    world = admitted_world()
    assert world.put(FILE).reason is None
    change(world)
    assert world.put(FILE).reason is reason


def test_what_concerns_models_does_not_touch_a_modelless_operation() -> None:
    world = admitted_world()
    world.parties["regulator"].withdraw("base-model", f"openai/{BASE}")
    world.parties["evaluator"].expires = NOW - DAY
    assert world.ask().reason is Reason.WITHDRAWN
    assert world.put(FILE).reason is None


def test_the_facts_of_a_modelless_operation_say_so_and_hold_no_adaptation() -> None:
    world = admitted_world()
    facts = prove(FILE, credential(), world.put(FILE), rfc3339(NOW), "n")
    assert (facts.request.models, facts.request.modelless, facts.adaptations) == ((), True, ())


@pytest.mark.parametrize(
    "call",
    [
        Call("openai", OPERATION, (MODEL,), references=REFERENCES),
        Call("openai", "responses", (), references=REFERENCES),
        dataclasses.replace(FILE, references=REFERENCES),
    ],
)
def test_a_reference_that_nobody_looked_up_is_refused_whatever_is_named(call: Call) -> None:
    assessment = admitted_world().put(call)
    assert assessment.findings == (
        Finding(
            0,
            call.operation,
            Reason.OBJECT_UNREGISTERED,
            "builds on stored objects that are not registered here: file, response",
        ),
    )
    assert (assessment.reason, assessment.valid_until) == (Reason.OBJECT_UNREGISTERED, NOW)
