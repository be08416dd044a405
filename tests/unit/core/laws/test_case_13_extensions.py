"""Case 13: a specification can be extended by a customer, and only by adding."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.core.call import Call
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import APPROVERS, BASE
from tests.support.simulator.predicates import (
    manifest_predicate,
    specification_predicate,
    suites,
    window,
)
from tests.support.simulator.world import World, admitted_world

SPEC = specification_predicate()["environments"][0]


def extended(
    environments: list[dict[str, Any]] | None = None,
    envelope: dict[str, Any] | None = None,
    **changes: Any,
) -> World:
    """A model that was tuned under one specification, bound under an extension of it."""
    world = admitted_world()
    world.specify(window=window(60, -20))
    declared: dict[str, Any] = {
        "environments": environments
        or [{**SPEC, "operations": ["chat.completions", "responses", "embeddings"]}],
        "envelope": envelope or {"suites": suites()},
    }
    older = {"sha256": world.digests["specification"]}
    world.specify(
        "extension", **{"extends": older, "window": window(35, 30), **declared, **changes}
    )
    specification = {"sha256": world.digests["extension"]}
    world.bind(**declared, specification=specification)
    world.result(suites=declared["envelope"]["suites"])
    for role in APPROVERS:
        world.approve(role)
    return world


def test_a_model_gains_an_operation_by_an_extension() -> None:
    found = extended().ask()
    assert found.reason is None
    (specified,) = found.chains[0].specifications
    assert [item.predicate.extends for item, _ in specified.extended] == [None]


PROD = {**SPEC, "id": "spiffe://acme.example/env/prod"}
ADVERSARIAL, REGRESSION, _ = (entry["digest"]["sha256"] for entry in suites())


@pytest.mark.parametrize(
    ("environments", "envelope", "lost"),
    [
        (
            [{**SPEC, "operations": ["chat.completions"]}],
            None,
            f"environment {SPEC['id']}: operations missing: responses",
        ),
        ([PROD], None, f"environment {SPEC['id']} is missing"),
        (
            [{**SPEC, "purpose": "other"}, PROD],
            None,
            f"environment {SPEC['id']}: purpose is 'other', not 'customer-support'",
        ),
        (
            [{**SPEC, "sector": "health"}, PROD],
            None,
            f"environment {SPEC['id']}: sector is 'health', not 'finance'",
        ),
        (
            None,
            {"suites": suites()[1:]},
            f"adversarial suite adversarial-suite ({ADVERSARIAL}) is missing",
        ),
        (
            None,
            {"suites": suites(regression=0.5)},
            f"regression suite regression-suite ({REGRESSION}): threshold 0.5 is below 0.9",
        ),
    ],
    ids=["an operation", "environments", "the purpose", "a sector", "a suite", "a threshold"],
)
def test_an_extension_takes_nothing_away(
    environments: list[dict[str, Any]] | None, envelope: dict[str, Any] | None, lost: str
) -> None:
    world = extended(environments, envelope)
    failed = world.ask().failed
    assert failed is not None
    assert failed.reason is Reason.SPECIFICATION_UNVERIFIED
    older = world.digests["specification"]
    assert failed.detail.endswith(f"takes away from {older}, which it extends: {lost}")


def test_withdrawing_what_was_extended_ends_the_model() -> None:
    world = extended()
    world.parties["customer"].withdraw("specification", world.digests["specification"])
    assert world.ask().reason is Reason.WITHDRAWN


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda w: w.evidence.pop("specification"), "which is not known"),
        (lambda w: w.specify(signer="producer", window=window(60, -20)), "no customer of every"),
        (lambda w: w.specify(window=window(60, -50)), "which is not known"),
    ],
)
def test_what_is_extended_must_count_itself(change: Any, detail: str) -> None:
    world = extended()
    change(world)
    failed = world.ask().failed
    assert failed is not None
    assert (failed.reason, detail in failed.detail) == (Reason.SPECIFICATION_UNVERIFIED, True)


def test_the_extension_must_hold_when_the_manifest_begins() -> None:
    failed = extended(window=window(10, 30)).ask().failed
    assert failed is not None
    assert failed.detail.endswith("the extension did not hold when the manifest's window began")


def test_a_chain_of_extensions_has_an_end() -> None:
    world = admitted_world()
    digest = world.specify(window=window(60, -20))
    for number in range(17):
        digest = world.specify(
            f"extension:{number}", extends={"sha256": digest}, window=window(35, 30 + number)
        )
    declared = manifest_predicate()["envelope"]
    environments = specification_predicate()["environments"]
    world.bind(envelope=declared, environments=environments, specification={"sha256": digest})
    failed = world.ask().failed
    assert failed is not None
    assert "more than 16 specifications" in failed.detail


def test_a_job_may_come_with_an_extension() -> None:
    world = admitted_world()
    world.declare(tuningModels=[f"openai/{BASE}"])
    older = world.specify()
    newer = world.specify("extension", extends={"sha256": older}, window=window(35, 30))
    call = Call("openai", "fine_tuning.jobs.create", (), tuned=(BASE,), specification=newer)
    found = world.put(call)
    assert found.reason is None
    assert found.specification is not None
    assert [item.digest for item, _ in found.specification.extended] == [older]
    world.parties["customer"].withdraw("specification", older)
    assert world.put(call).reason is Reason.WITHDRAWN
    world.evidence.pop("specification")
    assert world.put(call).reason is Reason.SPECIFICATION_UNVERIFIED
