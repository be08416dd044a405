"""Law 5: nobody makes the set of requirements smaller."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.core import memory
from sidecar.core.call import Call
from sidecar.core.grants import Floor
from sidecar.core.proving import prove
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import APPROVERS, BASE, ENV, MODEL, NOW
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import manifest_predicate, suites, window
from tests.support.simulator.world import World, admitted_world, credential

EVERYWHERE = ("spiffe://acme.example/**",)
EU = (Floor(EVERYWHERE, jurisdictions=("eu",)),)


def two_jurisdictions() -> World:
    """Declared for the EU and the US, with a regulator of each; admissible in the US alone."""
    world = admitted_world()
    world.grants["regulator"] = (grant("regulator", jurisdictions=("eu",)),)
    world.join("us-regulator", grant("regulator", jurisdictions=("us",)))
    envelope = {"suites": [suite_of(place) for place in ("eu", "us")]}
    world.bind(envelope=envelope)
    world.result(suites=envelope["suites"])
    for role in ("provider", "customer"):
        world.approve(role, jurisdictions=["eu", "us"])
    world.approve("regulator")
    world.approve("regulator", label="us", signer="us-regulator", jurisdictions=["us"])
    world.declare(jurisdictions=["eu", "us"])
    assert world.ask().reason is None
    return world


def suite_of(place: str) -> dict[str, object]:
    return {
        "kind": "compliance",
        "name": f"compliance-{place}",
        "digest": {"sha256": ("a" if place == "eu" else "b") * 64},
        "threshold": 0.9,
        "jurisdiction": place,
    }


def test_case_5_declaring_anew_does_not_shake_off_a_regulator() -> None:
    world = two_jurisdictions()
    world.floors = EU
    regulator = world.parties["regulator"]
    for kind, subject in (
        ("approval", world.digests["approval:regulator"]),
        ("manifest", world.digests["manifest"]),
        ("environment", ENV),
    ):
        regulator.withdraw(kind, subject)
    world.declare(label="anew", jurisdictions=["us"], window=window(1, 20))
    assert world.ask().reason is Reason.WITHDRAWN
    regulator.withdrawals = regulator.withdrawals[:1]
    assert world.ask().reason is Reason.WITHDRAWN
    world.evidence.pop("approval:regulator")
    assert world.ask().reason is Reason.APPROVAL_MISSING


@pytest.mark.parametrize("kind", ["manifest", "model", "environment"])
def test_case_5_without_a_floor_a_withdrawal_outlives_the_declaration_it_was_made_under(
    kind: str,
) -> None:
    world = two_jurisdictions()
    regulator = world.parties["regulator"]
    subject = {"manifest": world.digests["manifest"], "model": f"openai/{MODEL}"}.get(kind, ENV)
    regulator.withdraw(kind, subject)
    world.declare(label="anew", jurisdictions=["us"], window=window(1, 20))
    found = world.ask()
    assert (found.reason, found.jurisdictions) == (Reason.WITHDRAWN, ("us",))
    world.evidence.pop("environment")
    world.memory = memory.read(world.memory.write())
    assert world.ask().reason is Reason.WITHDRAWN
    regulator.withdrawals = []
    assert world.ask().reason is None


def test_an_evaluators_failure_outlives_a_declaration_of_another_sector() -> None:
    world = admitted_world()
    spec = manifest_predicate()["environments"][0]
    world.bind(environments=[spec, {**spec, "sector": "retail"}])
    world.result()
    for role in APPROVERS:
        world.approve(role)
    world.join("lab", grant("evaluator", sectors=("finance",)))
    world.parties["lab"].fail(world.digests["manifest"], suites()[0])
    assert world.ask().reason is Reason.PREACTIVATION_FAILED
    world.declare(label="anew", sector="retail", window=window(1, 20))
    assert world.ask().reason is Reason.PREACTIVATION_FAILED
    world.grants["lab"] = (grant("evaluator", sectors=("health",)),)
    assert world.ask().reason is None


def test_an_authority_of_a_jurisdiction_that_was_left_must_still_be_heard() -> None:
    world = two_jurisdictions()
    world.declare(label="anew", jurisdictions=["us"], window=window(1, 20))
    assert world.ask().reason is None
    world.parties["regulator"].expires = NOW
    assert world.ask().reason is Reason.TRUST_STALE
    world.grants["regulator"] = (grant("regulator", jurisdictions=("eu",), silence="ignored"),)
    assert world.ask().reason is None


def test_the_policies_get_the_union_of_declaration_and_floors() -> None:
    world = two_jurisdictions()
    world.floors = EU
    world.declare(label="anew", jurisdictions=["us"], window=window(1, 20))
    found = world.ask()
    assert (found.reason, found.jurisdictions) == (None, ("us", "eu"))
    assert found.floor_jurisdictions == ("eu",)
    call = Call("openai", "chat.completions", (MODEL,))
    facts = prove(call, credential(), found, "now", "nonce")
    assert facts.environment.jurisdictions == ("us", "eu")


def test_a_sector_other_than_the_floors_is_refused() -> None:
    world = admitted_world()
    world.floors = (Floor(EVERYWHERE, sector="finance"),)
    assert world.ask().reason is None
    world.floors = (Floor(EVERYWHERE, sector="health"),)
    failed = world.ask().failed
    assert failed is not None
    assert (failed.step, failed.reason, failed.detail) == (
        1,
        Reason.ENVIRONMENT_BELOW_FLOOR,
        "declared for sector finance, and the operator's floor demands health",
    )
    world.floors = tuple(Floor(EVERYWHERE, sector=each) for each in ("health", "energy", "finance"))
    failed = world.ask().failed
    assert failed is not None
    assert failed.detail.endswith("demands energy, health")


def test_a_floor_adds_roles() -> None:
    world = admitted_world()
    world.floors = (Floor(EVERYWHERE, roles=("security",)),)
    assert world.ask().reason is Reason.APPROVAL_MISSING
    world.join("ciso", grant("security"))
    world.approve("security", signer="ciso")
    assert world.ask().reason is None


def test_a_floor_of_other_environments_adds_nothing() -> None:
    world = admitted_world()
    world.floors = (
        Floor(("spiffe://other.example/**",), jurisdictions=("us",), roles=("x",), sector="y"),
    )
    assert world.ask().reason is None


def test_several_floors_add_up_and_hold_for_base_models_too() -> None:
    world = admitted_world()
    world.floors = (*EU, Floor(EVERYWHERE, jurisdictions=("us",)))
    assert world.ask(BASE).jurisdictions == ("eu", "us")
    world.grants["provider"] = (
        grant("provider", base_models=(f"openai/{BASE}",), jurisdictions=("eu",)),
    )
    assert world.ask(BASE).reason is Reason.MANIFEST_MISSING


def test_a_customer_declares_only_with_a_grant_for_the_jurisdictions_that_floors_add() -> None:
    world = admitted_world()
    world.floors = (Floor(EVERYWHERE, jurisdictions=("us",)),)
    assert world.ask(BASE).reason is None
    (held, *_) = world.grants["customer"]
    world.grants["customer"] = (replace(held, jurisdictions=("eu",)),)
    assert world.ask(BASE).reason is Reason.ENVIRONMENT_UNKNOWN
