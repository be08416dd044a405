"""Choose one alternative for each name of a call, so that all of them hold together.

What one alternative brings into the call counts against the others in one way only: as the grants
that are about its models, because whoever has one may object to all (``objectors``). So an
alternative that does not hold by itself is never part of an answer; and for a given set of grants
each name can be decided without the others. It is not the combinations that are tried, but the sets
of grants that they bring in. So the number of alternatives does not matter, and losing one cannot
make room for another (law 2).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_UNIONS = 256
"""Sets of grants that are tried; only an alternative that holds by itself adds to them."""

MAX_ITEMS = 16
"""Of one name, how many that hold are combined with those of the others: as many as policies are
asked about."""


@dataclass(frozen=True, slots=True)
class Rules(Generic[T]):
    """What is known about alternatives.

    Attributes:
        names: Returns the models that one brings into the call, as ``provider/id``.
        reach: Returns whatever is about any of these models: of all models together it is the union
            of each one's.
        holds: Returns whether an alternative holds in a call that reaches these models. It depends
            on them through ``reach`` only, and a larger one never makes it hold.
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

    The first for each set of grants is found with little work. The others follow for whoever is
    not content with it, such as a policy.

    Args:
        offered: For each name of the call its alternatives, preferred ones first.
        rules: Of these alternatives.
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
    """Yield each combination of one item a name, the last name's items changing first.

    As ``itertools.product``, but the first combination takes no more than the first items; and no
    more than ``MAX_ITEMS`` of each name are combined.
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
    """Return each union of one reach a name, those of preferred alternatives first."""
    found: list[frozenset[str]] = [frozenset()]
    for items in usable:
        reaches = dict.fromkeys(each.reach for each in items)
        unions = dict.fromkeys(union | reach for union in found for reach in reaches)
        found = list(islice(unions, MAX_UNIONS))
    return found
