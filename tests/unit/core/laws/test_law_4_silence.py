"""Law 4: an author that cannot be heard is not assumed to agree."""

from __future__ import annotations

import pytest

from sidecar.core.grants import Grant
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import APPROVERS, BASE, DAY, MODEL, NOW
from tests.support.simulator.party import grant
from tests.support.simulator.world import World, admitted_world, credential

ROLES = ("provider", "customer", "regulator", "producer", "evaluator", "auditor")


def beside(given: Grant) -> World:
    """An admitted world with an objector that signed nothing."""
    world = admitted_world()
    world.join("beside", given)
    return world


@pytest.mark.parametrize("role", ROLES)
def test_silence_denies_for_these_roles_unless_the_operator_sets_it(role: str) -> None:
    world = beside(grant(role))
    world.parties["beside"].expires = NOW
    expected = Reason.TRUST_STALE if role in APPROVERS else None
    assert world.ask().reason is expected


@pytest.mark.parametrize(("silence", "reason"), [("denies", Reason.TRUST_STALE), ("ignored", None)])
@pytest.mark.parametrize("role", ["regulator", "auditor"])
def test_the_operator_sets_what_silence_means(
    role: str, silence: str, reason: Reason | None
) -> None:
    world = beside(grant(role, silence=silence))
    world.parties["beside"].expires = NOW
    assert world.ask().reason is reason
    world.parties["beside"].expires = NOW + DAY
    world.parties["beside"].heard_since_start = False
    assert world.ask().reason is reason


def test_an_ignored_silence_still_needs_to_have_been_heard_once() -> None:
    world = beside(grant("auditor", silence="ignored"))
    del world.parties["beside"]
    assert world.ask().reason is Reason.TRUST_STALE


def test_case_9_a_constituent_that_was_not_heard_since_start_denies() -> None:
    for name in (*APPROVERS, "evaluator", "producer"):
        world = admitted_world()
        world.parties[name].heard_since_start = False
        assert world.ask().reason is Reason.TRUST_STALE


def test_silence_of_one_outside_the_scope_denies_nothing() -> None:
    world = beside(grant("regulator", sectors=("health",)))
    del world.parties["beside"]
    assert world.ask().reason is None


@pytest.mark.parametrize(
    "changes",
    [
        {"jurisdictions": ("us",)},
        {"sectors": ("retail",)},
        {"environments": ("spiffe://other.example/dev/*",)},
    ],
)
def test_case_7_a_provider_answers_for_a_base_model_only_in_its_scope(
    changes: dict[str, tuple[str, ...]],
) -> None:
    world = admitted_world()
    world.grants["provider"] = (grant("provider", base_models=(f"openai/{BASE}",), **changes),)
    assert world.ask(BASE).reason is Reason.MANIFEST_MISSING
    world.join("other", grant("provider", base_models=(f"openai/{BASE}",)))
    assert world.ask(BASE).reason is None
    world.parties["provider"].expires = NOW
    assert world.ask(BASE).reason is None


def test_a_decision_ends_when_an_objector_whose_silence_denies_falls_silent() -> None:
    world = beside(grant("regulator"))
    world.parties["beside"].expires = NOW + DAY / 48
    assert world.ask().valid_until == NOW + DAY / 48
    world.grants["beside"] = (grant("regulator", silence="ignored"),)
    assert world.ask().valid_until == credential().expires
    assert world.ask(MODEL).objectors == (
        "beside",
        "customer",
        "evaluator",
        "producer",
        "provider",
        "regulator",
    )
