"""Case 16: if there is a choice of evaluators and approvers, it is found; pieces add up."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.core.assignment import Offer, Slot, assignments
from sidecar.core.evidence import Signer
from sidecar.core.reasons import Reason
from tests.support.examples import examples
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import suite, suites, window
from tests.support.simulator.world import World, admitted_world


def test_case_16_an_evaluator_that_is_needed_as_regulator_leaves_room_for_another() -> None:
    world = admitted_world()
    world.join("both", grant("evaluator"), grant("regulator"))
    world.result(label="both", signer="both", window=window(10, 29))
    world.evidence.pop("approval:regulator")
    world.approve("regulator", label="both:regulator", signer="both")
    found = world.ask()
    assert found.reason is None
    assert {entry.signer.authority for entry in found.chains[0].suites} == {"evaluator"}


def two_jurisdictions() -> World:
    world = admitted_world()
    envelope = {"suites": [*suites(), suite("compliance", "us")]}
    world.bind(envelope=envelope)
    world.result(suites=envelope["suites"])
    for role in ("provider", "customer", "regulator"):
        world.approve(role)
    world.declare(jurisdictions=["eu", "us"])
    assert world.ask().reason is Reason.APPROVAL_OUT_OF_SCOPE
    return world


def test_case_16_two_pieces_of_one_authority_add_up() -> None:
    world = two_jurisdictions()
    for role in ("provider", "customer", "regulator"):
        world.approve(role, label=f"us:{role}", jurisdictions=["us"])
    found = world.ask()
    assert found.reason is None
    assert len(found.chains[0].approvals) == 6


def test_case_16_two_legal_entities_in_one_role_add_up() -> None:
    world = two_jurisdictions()
    for role in ("provider", "customer", "regulator"):
        world.join(f"us-{role}", grant(role, jurisdictions=("us",)))
        world.approve(role, label=f"us:{role}", signer=f"us-{role}", jurisdictions=["us"])
    assert world.ask().reason is None


def test_a_piece_that_is_missing_is_named_with_its_jurisdiction() -> None:
    world = two_jurisdictions()
    for role in ("provider", "regulator"):
        world.approve(role, jurisdictions=["eu", "us"])
    failed = world.ask().failed
    assert failed is not None
    assert failed.missing == ("customer for us",)


def test_too_few_evaluators_is_named_in_step_4() -> None:
    world = admitted_world()
    world.grants["producer"] = (grant("producer"), grant("evaluator"))
    world.result(signer="producer")
    failed = world.ask().failed
    assert failed is not None
    assert (failed.step, failed.reason) == (4, Reason.PREACTIVATION_MISSING)


NAMES = st.sampled_from("abcd")
OFFERS = st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=4)
SLOTS = st.lists(st.tuples(st.sampled_from("xyz"), OFFERS), min_size=1, max_size=5)


def lawful(chosen: list[tuple[str, tuple[str, str]]]) -> bool:
    roles: dict[str, set[str]] = {}
    for role, (authority, key) in chosen:
        roles.setdefault(f"authority {authority}", set()).add(role)
        roles.setdefault(f"key {key}", set()).add(role)
    return all(len(each) == 1 for each in roles.values())


def exists(slots: list[tuple[str, list[tuple[str, str]]]]) -> bool:
    roles = [role for role, _ in slots]
    return any(
        lawful(list(zip(roles, combination, strict=True)))
        for combination in product(*(offers for _, offers in slots))
    )


@settings(max_examples=examples(300), deadline=None)
@given(SLOTS)
def test_an_assignment_is_found_exactly_where_there_is_one(
    slots: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    rows = [
        Slot(role, tuple(Offer(Signer(a, f"key {k}"), (a, k)) for a, k in offers))
        for role, offers in slots
    ]
    every = list(assignments(rows))
    assert bool(every) == exists(slots)
    for found in every:
        chosen = [(row.role, offer.item) for row, offer in zip(rows, found.chosen, strict=True)]
        assert lawful(chosen)
        for row, offer, counting in zip(rows, found.chosen, found.counting, strict=True):
            assert offer in counting
            assert set(counting) <= set(row.offers)


@settings(max_examples=examples(300), deadline=None)
@given(SLOTS)
def test_what_counts_together_never_puts_a_name_into_two_roles_and_leaves_no_offer_out(
    slots: list[tuple[str, list[tuple[str, str]]]],
) -> None:
    rows = [
        Slot(role, tuple(Offer(Signer(a, f"key {k}"), (a, k)) for a, k in offers))
        for role, offers in slots
    ]
    possible = set()
    for found in assignments(rows):
        shown = [
            (number, row.role, offer.item)
            for number, (row, offers) in enumerate(zip(rows, found.counting, strict=True))
            for offer in offers
        ]
        assert lawful([(role, item) for _, role, item in shown])
        possible |= {(number, item) for number, _, item in shown}
    for number, (role, offers) in enumerate(slots):
        for offer in offers:
            forced = [*slots[:number], (role, [offer]), *slots[number + 1 :]]
            assert ((number, offer) in possible) == exists(forced)


@pytest.mark.parametrize("role", ["evaluator", "regulator"])
def test_a_slot_without_offers_is_never_filled(role: str) -> None:
    assert list(assignments([Slot(role, ())])) == []


def test_a_usable_choice_is_found_beside_one_that_rests_on_a_withdrawn_approval() -> None:
    world = admitted_world()
    world.join("both", grant("evaluator"), grant("regulator"))
    world.result(label="both", signer="both", window=window(10, 29))
    world.approve("regulator", label="both:regulator", signer="both", window=window(9, 28))
    world.parties["regulator"].withdraw("approval", world.digests["approval:regulator"])
    found = world.ask()
    assert found.reason is None
    assert {entry.signer.authority for entry in found.chains[0].suites} == {"evaluator"}
