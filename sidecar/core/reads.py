"""Records what the predicate reads of a trust state, to detect whether an answer still holds.

``recording`` returns a state whose tables note every key that is looked up and the value found,
absence included. Everything else about the state that the predicate could read is left empty, so
that it cannot depend on what is not recorded. ``Reads.unchanged`` compares with a newer state, and
``Reads.next_change`` returns the next instant at which time alone could change the answer: the
predicate uses the time only in comparisons with instants of what it read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from sidecar.core.documents import Withdrawal
from sidecar.core.evidence import Evidence
from sidecar.core.memory import NOTHING, LineageNode
from sidecar.core.predicates import Manifest
from sidecar.core.snapshot import AuthorityView, KeyRecord, TrustState
from sidecar.core.withdrawals import AboutNode, AuthoredNode, WithdrawalIndex

K = TypeVar("K")
V = TypeVar("V")
Node = LineageNode | AuthoredNode | AboutNode

TABLES = (
    "keys",
    "manifests",
    "manifests_by_digest",
    "approvals",
    "results",
    "environments",
    "waivers",
    "bindings",
    "specifications",
    "failures",
    "successors",
    "statements",
    "declared",
)
"""Fields of ``TrustState`` that are compared by the value found at each key."""

_UNTIMED = frozenset({"declared", "failures", "successors", "statements"})
"""Those of ``TABLES`` whose values have no instant that the predicate compares with now."""

MEMBERS = ("taken_over", "adapted")
"""Fields of ``TrustState`` that are compared by membership."""

_ABSENT = object()


class Reads:
    """What was read of one trust state; grows while the recording state is in use."""

    __slots__ = ("_authorities", "_indexes", "_members", "_operator", "_tables", "_whole")

    def __init__(self, state: TrustState) -> None:
        self._operator = state.operator
        self._tables: dict[str, dict[Any, Any]] = {}
        self._members: dict[str, dict[Any, bool]] = {}
        self._authorities: dict[str, Any] = {}
        self._indexes: dict[str, _IndexReads] = {}
        self._whole: dict[str, Any] = {}

    def unchanged(self, state: TrustState, now: datetime) -> bool:
        """Return whether everything that was read is the same in ``state``.

        Args:
            state: A newer state of the same control path, not a recording one.
            now: The reference time. An authority's metadata that expires later than before counts
                as the same where it had not expired by then; see ``next_change`` for the bound.
        """
        operator = state.operator
        if operator is not self._operator and operator != self._operator:
            return False
        return (
            all(_same_values(getattr(state, name), seen) for name, seen in self._tables.items())
            and all(_same_members(getattr(state, n), seen) for n, seen in self._members.items())
            and all(
                _same_freshness(state.authorities, *seen, now) for seen in self._authorities.items()
            )
            and all(_same_index(state.withdrawals, *seen) for seen in self._indexes.items())
            and all(_equal(held, getattr(state, name)) for name, held in self._whole.items())
        )

    def next_change(self, now: datetime) -> datetime | None:
        """Return the first instant after ``now`` in anything that was read; ``None`` for none."""
        return min((each for each in self._instants() if each > now), default=None)

    def _instants(self) -> Iterator[datetime]:
        for name, seen in self._tables.items():
            for value in () if name in _UNTIMED else seen.values():
                yield from _instants(value)
        yield from _instants(tuple(self._authorities.values()))
        for index in self._indexes.values():
            for entries in index.hits.values():
                yield from _instants(entries)
        for held in self._whole.values():
            for value in held.values() if isinstance(held, Mapping) else ():
                yield from _instants(value)


@dataclass(frozen=True, slots=True)
class _IndexReads:
    """What was read of one authority's withdrawals.

    Attributes:
        identity: Of the index that was read; ``None`` where the authority has none.
        any: Whether it has entries.
        hits: Node → the entries found.
    """

    identity: object
    any: bool
    hits: dict[Node, tuple[Withdrawal, ...]]


def recording(state: TrustState) -> tuple[TrustState, Reads]:
    """Return ``state`` as a state that records what is read of it, and the record."""
    reads = Reads(state)
    fields: dict[str, Any] = {
        name: _Table(getattr(state, name), reads._tables.setdefault(name, {}), reads._whole, name)
        for name in TABLES
    }
    fields |= {
        name: _Members(
            getattr(state, name), reads._members.setdefault(name, {}), reads._whole, name
        )
        for name in MEMBERS
    }
    authorities = _Table(state.authorities, reads._authorities, reads._whole, "authorities")
    withdrawals = _Indexes(state.withdrawals, reads._indexes)
    recorded = replace(
        state,
        epoch=0,
        authorities=authorities,
        withdrawals=withdrawals,
        memory=NOTHING,
        rejected=(),
        **fields,
    )
    return recorded, reads


class _Table(Mapping[K, V]):
    """A table that records each key that is looked up; iterating records all of it."""

    __slots__ = ("_held", "_name", "_seen", "_whole")

    def __init__(
        self, held: Mapping[K, V], seen: dict[K, Any], whole: dict[str, Any], name: str
    ) -> None:
        self._held, self._seen, self._whole, self._name = held, seen, whole, name

    def __getitem__(self, key: K) -> V:
        value: Any = self._held.get(key, _ABSENT)
        self._seen[key] = value
        if value is _ABSENT:
            raise KeyError(key)
        found: V = value
        return found

    def get(self, key: K, default: Any = None) -> Any:  # noqa: ANN401
        value: Any = self._held.get(key, _ABSENT)
        self._seen[key] = value
        return default if value is _ABSENT else value

    def __iter__(self) -> Iterator[K]:
        self._whole[self._name] = self._held
        return iter(self._held)

    def __len__(self) -> int:
        self._whole[self._name] = self._held
        return len(self._held)


class _Members(AbstractSet[K]):
    """A set that records each membership that is asked; iterating records all of it."""

    __slots__ = ("_held", "_name", "_seen", "_whole")

    def __init__(
        self, held: AbstractSet[K], seen: dict[Any, bool], whole: dict[str, Any], name: str
    ) -> None:
        self._held, self._seen, self._whole, self._name = held, seen, whole, name

    def __contains__(self, key: object) -> bool:
        found = self._seen[key] = key in self._held
        return found

    def __iter__(self) -> Iterator[K]:
        self._whole[self._name] = self._held
        return iter(self._held)

    def __len__(self) -> int:
        self._whole[self._name] = self._held
        return len(self._held)


class _Indexes(Mapping[str, WithdrawalIndex]):
    """The authorities' withdrawals; each index records what is looked up in it."""

    __slots__ = ("_held", "_seen")

    def __init__(self, held: Mapping[str, WithdrawalIndex], seen: dict[str, _IndexReads]) -> None:
        self._held, self._seen = held, seen

    def __getitem__(self, name: str) -> WithdrawalIndex:
        index = self._held.get(name)
        seen = self._seen.get(name)
        if seen is None:
            read = _IndexReads(None, any=False, hits={})
            if index is not None:
                read = _IndexReads(index.identity, bool(index.entries), {})
            seen = self._seen[name] = read
        if index is None:
            raise KeyError(name)
        return _Index(index.entries, {}, (), {}, index, seen.hits)

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError("withdrawals are looked up by authority")

    def __len__(self) -> int:
        raise NotImplementedError("withdrawals are looked up by authority")


@dataclass(frozen=True, slots=True)
class _Index(WithdrawalIndex):
    """An index that records the entries found for each node.

    ``entries`` is compared only by whether there are any, which is all that ``Cascade`` asks.
    """

    held: WithdrawalIndex
    seen: dict[Node, tuple[Withdrawal, ...]]

    def hits(self, node: Node) -> tuple[Withdrawal, ...]:
        """Return the entries that withdraw ``node``; recorded, and so looked up once."""
        found = self.seen.get(node)
        if found is None:
            found = self.seen[node] = self.held.hits(node)
        return found


def _same_values(table: Mapping[Any, Any], seen: Mapping[Any, Any]) -> bool:
    for key, value in seen.items():
        new = table.get(key, _ABSENT)
        if new is not value and not _equal(value, new):
            return False
    return True


def _same_members(held: AbstractSet[Any], seen: Mapping[Any, bool]) -> bool:
    return all((key in held) is found for key, found in seen.items())


def _same_freshness(
    authorities: Mapping[str, AuthorityView],
    name: str,
    old: Any,  # noqa: ANN401 - a view, or none
    now: datetime,
) -> bool:
    """Return whether an authority's freshness is the same; a later expiry counts as such."""
    new: Any = authorities.get(name, _ABSENT)
    if new is old:
        return True
    if new is _ABSENT or old is _ABSENT or new.heard_since_start is not old.heard_since_start:
        return False
    later: bool = now < old.expires <= new.expires
    return later or bool(old.expires == new.expires)


def _same_index(withdrawals: Mapping[str, WithdrawalIndex], name: str, seen: _IndexReads) -> bool:
    new = withdrawals.get(name)
    if new is None or seen.identity is None:
        return new is seen.identity
    if new.identity is seen.identity:
        return True
    if bool(new.entries) is not seen.any:
        return False
    return all(new.hits(node) == found for node, found in seen.hits.items())


def _equal(old: Any, new: Any) -> bool:  # noqa: ANN401 - values of any table
    return old is new or bool(old == new)


def _instants(value: Any) -> Iterable[datetime]:  # noqa: ANN401 - values of any table
    if isinstance(value, tuple):
        for item in value:
            yield from _instants(item)
    elif isinstance(value, Evidence):
        yield from _of_window(value.predicate.window)
        if isinstance(value.predicate, Manifest) and value.predicate.model.shutdown is not None:
            yield value.predicate.model.shutdown
    elif isinstance(value, KeyRecord):
        yield from _of_window(value.window)
    elif isinstance(value, AuthorityView):
        yield value.expires
    elif isinstance(value, Withdrawal) and value.effective is not None:
        yield value.effective


def _of_window(window: Any) -> tuple[datetime, datetime]:  # noqa: ANN401 - a Window
    return window.not_before, window.not_after
