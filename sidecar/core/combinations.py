"""Chooses one alternative for each name of a call, so that all of them hold together.

Theory of operation. An alternative affects the others in one way only: it adds the grants that
match its models, and their authorities may object to the whole call (``objectors``). Hence an
alternative that does not hold by itself is never part of a result, and under a given set of grants
the names can be decided independently. So the search tries sets of grants, not combinations of
alternatives: the number of alternatives does not matter, and losing one cannot admit what was
denied beside it (law 2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_UNIONS = 256
"""Most sets of grants that are tried; only an alternative that holds by itself adds one."""

MAX_ITEMS = 16
"""Most alternatives of one name that are combined with those of the others: the number of choices
that policies are asked about."""


@dataclass(frozen=True, slots=True)
class Rules(Generic[T]):
    """The functions by which alternatives are chosen.

    Attributes:
        names: Returns the models that an alternative adds to the call, as ``provider/id``.
        reach: Returns the grants that match any of these models; of several models it is the union
            of each one's.
        holds: Returns whether an alternative holds in a call that reaches these models. It depends
            on them only through ``reach``, and is monotone: a larger reach never makes it hold.
    """

    names: Callable[[T], frozenset[str]]
    reach: Callable[[frozenset[str]], frozenset[str]]
    holds: Callable[[T, frozenset[str]], bool]


@dataclass(frozen=True, slots=True)
class _Usable(Generic[T]):
    """An alternative that holds alone, with the models and grants that it adds to the call."""

    item: T
    names: frozenset[str]
    reach: frozenset[str]


def selected(offered: Sequence[Sequence[T]], rules: Rules[T]) -> Iterator[tuple[T, ...]]:
    """Yield combinations in which every alternative holds; none only if there is none.

    The first combination of each set of grants is found with little work. The others follow because
    policies may deny the first one.

    Args:
        offered: For each name of the call its alternatives, preferred ones first.
        rules: How they are chosen.
    """
    usable = [tuple(_usable(items, rules)) for items in offered]
    known = [each for items in usable for each in items]
    yielded: set[tuple[int, ...]] = set()
    for union in _unions(usable):
        within = frozenset(name for each in known if each.reach <= union for name in each.names)
        for chosen in in_turn([_held(items, union, within, rules) for items in usable]):
            if tuple(map(id, chosen)) not in yielded:
                yielded.add(tuple(map(id, chosen)))
                yield chosen


def _held(
    items: Sequence[_Usable[T]], union: frozenset[str], within: frozenset[str], rules: Rules[T]
) -> Iterator[T]:
    """Yield the alternatives of one name that hold under a set of grants."""
    return (e.item for e in items if e.reach <= union and rules.holds(e.item, within))


def in_turn(offered: Sequence[Iterator[T]]) -> Iterator[tuple[T, ...]]:
    """Yield each combination of one item per name; the last name varies fastest.

    As ``itertools.product``, except that the first combination consumes only the first item of each
    name, and that at most ``MAX_ITEMS`` of each name are combined.
    """
    first = [tuple(islice(items, 1)) for items in offered]
    if not all(first):
        return
    yield from product(*first)
    every = [
        (*found, *islice(items, MAX_ITEMS - 1)) for found, items in zip(first, offered, strict=True)
    ]
    yield from islice(product(*every), 1, None)


def _usable(items: Sequence[T], rules: Rules[T]) -> Iterator[_Usable[T]]:
    for item in items:
        names = rules.names(item)
        if rules.holds(item, names):
            yield _Usable(item, names, rules.reach(names))


def _unions(usable: Sequence[Sequence[_Usable[T]]]) -> Sequence[frozenset[str]]:
    """Return every union of one reach per name, those of preferred alternatives first."""
    found: list[frozenset[str]] = [frozenset()]
    for items in usable:
        reaches = dict.fromkeys(each.reach for each in items)
        unions = dict.fromkeys(union | reach for union in found for reach in reaches)
        found = list(islice(unions, MAX_UNIONS))
    return found
