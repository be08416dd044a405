"""One authority, and one key, fills one role; where there is a choice, it is found."""

from __future__ import annotations

from sidecar.core.assignment import Offer, Slot, assignments, given
from sidecar.core.evidence import Signer
from sidecar.core.reasons import Reason


def offer(authority: str, item: str, key: str = "") -> Offer[str]:
    return Offer(Signer(authority, key or f"key of {authority}"), item)


def chosen(*slots: Slot[str]) -> list[str] | None:
    found = next(assignments(slots), None)
    return (
        None
        if found is None
        else [f"{each.signer.authority}: {each.item}" for each in found.chosen]
    )


def test_the_best_offer_is_taken_where_nobody_is_contested() -> None:
    first = Slot("evaluator", (offer("a", "result"), offer("b", "result")))
    assert chosen(first, Slot("regulator", (offer("c", "approval"),))) == [
        "a: result",
        "c: approval",
    ]


def test_an_authority_that_one_role_cannot_do_without_is_left_to_it() -> None:
    """An authority with both roles, whose result lasts longest, is kept for its approval."""
    evaluator = Slot("evaluator", (offer("office", "result"), offer("lab", "result")))
    regulator = Slot("regulator", (offer("office", "approval"),))
    assert chosen(evaluator, regulator) == ["lab: result", "office: approval"]
    assert chosen(regulator, evaluator) == ["office: approval", "lab: result"]


def test_one_key_of_two_authorities_fills_one_role() -> None:
    shared = (offer("a", "approval", "k"),), (offer("b", "approval", "k"),)
    slots = [Slot(role, offers) for role, offers in zip(("x", "y"), shared, strict=True)]
    assert chosen(*slots) is None
    assert chosen(*(Slot("x", each.offers) for each in slots)) == ["a: approval", "b: approval"]


def test_too_few_for_the_roles_is_no_assignment() -> None:
    both = (offer("a", "one"), offer("b", "two"))
    assert chosen(*(Slot(role, both) for role in ("x", "y"))) == ["a: one", "b: two"]
    assert chosen(*(Slot(role, both) for role in ("x", "y", "z"))) is None


def test_nothing_offered_is_no_assignment_and_no_slot_is_an_empty_one() -> None:
    assert chosen(Slot("x", ())) is None
    assert chosen() == []


def test_within_a_role_what_fills_several_slots_is_preferred() -> None:
    wide, narrow = offer("a", "eu and us"), offer("b", "us")
    eu, us = Slot("regulator", (wide,)), Slot("regulator", (narrow, wide))
    assert chosen(eu, us) == ["a: eu and us", "a: eu and us"]


def test_only_slots_with_offers_are_given() -> None:
    offers = (offer("a", "one"),)
    found: dict[str, tuple[Offer[str], ...] | Reason] = {"x": offers, "y": Reason.APPROVAL_MISSING}
    assert given(found) == {"x": offers}
