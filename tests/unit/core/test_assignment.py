"""One authority, and one key, fills one role; where there is a choice, it is found."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.core import assignment
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


def both(number: int) -> tuple[list[Offer[str]], list[Offer[str]]]:
    """What authorities with two roles offer for either."""
    names = [f"a{each:02}" for each in range(number)]
    return [offer(name, "result") for name in names], [offer(name, "approval") for name in names]


@pytest.mark.parametrize(
    "depending",
    [
        (("provider", "z"), ("customer", "z")),
        (("regulator", "y"), ("regulator", "z"), ("provider", "yz")),
        (("provider", "xy"), ("customer", "xy"), ("auditor", "xy")),
        (("regulator", "z"), ("provider", "yz"), ("customer", "yx"), ("auditor", "x")),
    ],
)
def test_no_number_of_authorities_with_two_roles_makes_the_search_long(
    depending: tuple[tuple[str, str], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fourteen took a gate a second for each call, twenty a minute."""
    looked_at = 0

    def counted(slots: Any, roles: Any) -> bool:
        nonlocal looked_at
        looked_at += 1
        return can_be_filled(slots, roles)

    can_be_filled = assignment._can_be_filled
    monkeypatch.setattr(assignment, "_can_be_filled", counted)
    results, approvals = both(24)
    slots = [Slot("evaluator", tuple(results)), Slot("regulator", tuple(approvals))]
    slots += [Slot(role, tuple(offer(name, role) for name in names)) for role, names in depending]
    assert chosen(*slots) is None
    assert looked_at == 1


def test_an_authority_is_moved_to_the_role_that_has_no_other() -> None:
    first = Slot("x", (offer("a", "one"), offer("b", "two")))
    second = Slot("y", (offer("a", "one"), offer("c", "two")))
    third = Slot("z", (offer("a", "one"), offer("b", "two")))
    assert chosen(first, second, third) == ["a: one", "c: two", "b: two"]


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
