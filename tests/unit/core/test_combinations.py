"""A choice for several names is found exactly where there is one, however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import combinations
from sidecar.core.combinations import MAX_ITEMS, Rules, in_turn, selected


@dataclass(frozen=True)
class Candidate:
    """An alternative that brings in models and fails beside the grants of others."""

    names: frozenset[str]
    avoids: frozenset[str]


def reach(names: frozenset[str]) -> frozenset[str]:
    """The grants that are about models: of ``a1`` and ``a2`` alike, grant ``a``."""
    return frozenset(name[0] for name in names)


RULES: Rules[Candidate] = Rules(
    lambda each: each.names, reach, lambda each, names: not each.avoids & reach(names)
)


def together(chosen: Sequence[Candidate]) -> bool:
    names = frozenset[str]().union(*(each.names for each in chosen))
    return all(RULES.holds(each, names) for each in chosen)


CANDIDATES = st.builds(
    Candidate,
    st.frozensets(st.sampled_from(["a1", "a2", "b1", "c1", "c2"]), min_size=1),
    st.frozensets(st.sampled_from("abc"), max_size=2),
)


@given(st.lists(st.lists(CANDIDATES, max_size=4), min_size=1, max_size=3))
def test_a_choice_is_found_exactly_where_one_of_all_holds(offered: list[list[Candidate]]) -> None:
    found = list(selected(offered, RULES))
    assert all(together(chosen) for chosen in found)
    assert all(one in of for chosen in found for one, of in zip(chosen, offered, strict=True))
    assert bool(found) is any(map(together, product(*offered)))


@given(st.lists(st.lists(CANDIDATES, max_size=4), min_size=1, max_size=3))
def test_every_choice_that_holds_is_found_once(offered: list[list[Candidate]]) -> None:
    # Equal candidates are different ones here, as two files with the same content would be.
    mine = [[Candidate(each.names, each.avoids) for each in items] for items in offered]
    found = [tuple(map(id, chosen)) for chosen in selected(mine, RULES)]
    holding = [tuple(map(id, chosen)) for chosen in product(*mine) if together(chosen)]
    assert sorted(found) == sorted(holding)


def test_the_first_combination_takes_no_more_than_the_first_of_each() -> None:
    taken: list[str] = []

    def each(name: str) -> Iterator[str]:
        for number in range(100):
            taken.append(f"{name}{number}")
            yield taken[-1]

    combined = in_turn([each("a"), each("b")])
    assert (next(combined), taken) == (("a0", "b0"), ["a0", "b0"])
    assert len(list(combined)) == MAX_ITEMS * MAX_ITEMS - 1
    assert list(in_turn([each("a"), iter(())])) == []


def test_the_preferred_ones_come_first() -> None:
    first, second = (
        Candidate(frozenset({"a1"}), frozenset()),
        Candidate(frozenset({"a2"}), frozenset()),
    )
    other = Candidate(frozenset({"b1"}), frozenset("a"))
    last = Candidate(frozenset({"c1"}), frozenset("b"))
    assert next(selected([[first, second], [other, last]], RULES)) == (first, last)


def test_sets_of_grants_beyond_their_bound_are_not_tried_and_so_admit_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offered = [
        [Candidate(frozenset({"a1"}), frozenset("b")), Candidate(frozenset({"c1"}), frozenset())],
        [Candidate(frozenset({"b1"}), frozenset())],
    ]
    assert [chosen[0] for chosen in selected(offered, RULES)] == [offered[0][1]]
    monkeypatch.setattr(combinations, "MAX_UNIONS", 1)
    assert not list(selected(offered, RULES))


def test_one_that_brings_in_everything_counts_against_the_others_too() -> None:
    wide = Candidate(frozenset({"a1", "b1"}), frozenset())
    assert not list(selected([[wide], [Candidate(frozenset({"a2"}), frozenset("b"))]], RULES))
