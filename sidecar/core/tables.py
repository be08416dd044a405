"""Keeps the tables of the trust state, so that a step writes only what it changes.

``Drafts`` collects the changes of one step over the tables as they were. The implementation of the
tables decides how changes are kept: ``Tables.with_changes`` makes persistent maps that share
everything else with the maps before (``immutables``: hash array mapped tries), so that a reader of
an older epoch keeps a whole state; the control path writes the same changes to disk.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, Final, Generic, TypeVar, cast

from immutables import Map

from sidecar.core.documents import Failure, WithdrawalKind
from sidecar.core.evidence import Evidence, Statement
from sidecar.core.memory import DeclaredScope, LineageNode, Successor, WithdrawnStatement
from sidecar.core.predicates import (
    Approval,
    DeploymentBinding,
    Environment,
    Manifest,
    Predicate,
    Result,
    Specification,
    Waiver,
)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Gone(Enum):
    GONE = "gone"


GONE: Final = _Gone.GONE
"""Marks a key that a step removes."""
_UNCHANGED: Final = object()
EMPTY: Final[Map[Any, Any]] = Map()


class Draft(MutableMapping[K, V]):
    """A table with the changes of one step; the table below is never written.

    Attributes:
        base: The table before the step.
        changes: Key → new value, or ``GONE``. A value that equals the old one is no change, so that
            what did not change stays the same object.
    """

    __slots__ = ("base", "changes")

    def __init__(self, base: Mapping[K, V]) -> None:
        self.base = base
        self.changes: dict[K, V | _Gone] = {}

    def get(self, key: K, default: Any = None) -> Any:  # noqa: ANN401
        """Return the value of ``key``, or ``default``."""
        found = self.changes.get(key, _UNCHANGED)
        if found is _UNCHANGED:
            return self.base.get(key, default)
        return default if found is GONE else found

    def __getitem__(self, key: K) -> V:
        """Return the value of ``key``; ``KeyError`` where it has none."""
        found = self.get(key, GONE)
        if found is GONE:
            raise KeyError(key)
        return cast("V", found)

    def __contains__(self, key: object) -> bool:
        """Return whether ``key`` has a value."""
        return self.get(cast("K", key), GONE) is not GONE

    def __setitem__(self, key: K, value: V) -> None:
        """Set a value; nothing changes where it equals the one before the step."""
        before = self.base.get(key, GONE)
        if before is value or (before is not GONE and before == value):
            self.changes.pop(key, None)
        else:
            self.changes[key] = value

    def __delitem__(self, key: K) -> None:
        """Remove a key that may be absent."""
        if key in self.base:
            self.changes[key] = GONE
        else:
            self.changes.pop(key, None)

    def lacks(self, key: K) -> bool:
        """Return whether ``key`` has no value now, and had none before the step."""
        return key not in self.changes and self.base.get(key, GONE) is GONE

    def add(self, key: K, value: V) -> None:
        """Set the value of a key that had none before the step, without looking it up."""
        self.changes[key] = value

    def put(self, key: K, value: V, *, keep: bool) -> None:
        """Set a value, or remove the key where ``keep`` is false."""
        if keep:
            self[key] = value
        else:
            del self[key]

    def __iter__(self) -> Iterator[K]:
        """Yield every key that has a value now."""
        yield from (key for key in self.base if self.changes.get(key) is not GONE)
        added = (key for key, value in self.changes.items() if value is not GONE)
        yield from (key for key in added if key not in self.base)

    def __len__(self) -> int:
        """Return how many keys have a value now."""
        size = len(self.base)
        for key, value in self.changes.items():
            if value is GONE:
                size -= 1
            elif key not in self.base:
                size += 1
        return size


Pairs = Mapping[K, Mapping[V, None]]
"""A relation: what each left side is related to. A left side may have very many."""


class PairsDraft(Generic[K, V]):
    """A relation with the changes of one step.

    Attributes:
        base: The relation before the step.
        changes: Left side → right side → whether they are related now.
    """

    __slots__ = ("base", "changes")

    def __init__(self, base: Pairs[K, V]) -> None:
        self.base = base
        self.changes: dict[K, dict[V, bool]] = {}

    def put(self, left: K, right: V, *, keep: bool) -> None:
        """Relate two sides, or end that."""
        if (right in self.base.get(left, EMPTY)) is keep:
            self.changes.get(left, {}).pop(right, None)
        else:
            self.changes.setdefault(left, {})[right] = keep

    def add(self, left: K, right: V) -> None:
        """Relate two sides that were not related before the step, without looking that up."""
        self.changes.setdefault(left, {})[right] = True

    def get(self, left: K, default: object = None) -> Mapping[V, None]:  # noqa: ARG002
        """Return what ``left`` is related to, as a table of relations does."""
        return dict.fromkeys(self.of(left))

    def of(self, left: K) -> Iterator[V]:
        """Yield everything that ``left`` is related to."""
        changes = self.changes.get(left, {})
        yield from (right for right in self.base.get(left, EMPTY) if changes.get(right, True))
        yield from (right for right, keep in changes.items() if keep)


@dataclass(frozen=True, slots=True)
class SignedPayload:
    """A payload that known keys signed, and the files that hold it.

    Attributes:
        statement: The payload, parsed.
        files: Hex SHA-256 of each file, and the fingerprints whose signature in it verified.
    """

    statement: Statement[Predicate]
    files: tuple[tuple[str, frozenset[str]], ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """Every table, by the name it has in ``TrustState`` where the predicate reads it.

    Attributes:
        files: File digest → payload digest.
        signed: Payload digest → what was signed, and in which files.
        evidence: Payload digest → evidence, of every kind.
        refused: File digest → why none of its signers counts.
        lineages: Superseded digest → what was remembered of each successor.
        succeeds: Digest of a successor → the digests it supersedes, as remembered.
        taken_over: (manifest, SPIFFE ID) → what took over there.
        took: (successor, SPIFFE ID) → where it took over.
        withdrawn: (author, matter) → remembered withdrawn statements.
        withdrawn_as: (kind, digest) → the same.
        scopes: SPIFFE ID → what it was ever declared for, as remembered.
        patterns: Environment patterns with a wildcard, of manifests that supersede others.
        signed_by: Key fingerprint → payload digests.
        children: Digest of a manifest → the manifests tuned from it.
        superseding: Digest of a manifest → the known manifests that supersede it.
        covering: Environment pattern → the superseding manifests that name it.
        specified: Digest of a specification → the manifests made under it.
        extending: Digest of a specification → the specifications that extend it.
    """

    files: Mapping[str, str] = EMPTY
    signed: Mapping[str, SignedPayload] = EMPTY
    evidence: Mapping[str, Evidence[Any]] = EMPTY
    refused: Mapping[str, str] = EMPTY
    manifests: Mapping[tuple[str, str], tuple[Evidence[Manifest], ...]] = EMPTY
    manifests_by_digest: Mapping[str, Evidence[Manifest]] = EMPTY
    approvals: Mapping[str, tuple[Evidence[Approval], ...]] = EMPTY
    results: Mapping[str, tuple[Evidence[Result], ...]] = EMPTY
    environments: Mapping[str, tuple[Evidence[Environment], ...]] = EMPTY
    waivers: Mapping[str, tuple[Evidence[Waiver], ...]] = EMPTY
    bindings: Mapping[tuple[str, str], tuple[Evidence[DeploymentBinding], ...]] = EMPTY
    specifications: Mapping[str, Evidence[Specification]] = EMPTY
    failures: Mapping[str, tuple[tuple[str, Failure], ...]] = EMPTY
    successors: Mapping[str, tuple[Successor, ...]] = EMPTY
    statements: Mapping[str, tuple[LineageNode, ...]] = EMPTY
    declared: Mapping[str, tuple[tuple[str, str], ...]] = EMPTY
    adapted: Mapping[str, None] = EMPTY
    lineages: Mapping[str, tuple[Successor, ...]] = EMPTY
    succeeds: Mapping[str, tuple[str, ...]] = EMPTY
    taken_over: Mapping[tuple[str, str], tuple[str, ...]] = EMPTY
    took: Mapping[tuple[str, str], None] = EMPTY
    withdrawn: Mapping[tuple[str, str], tuple[WithdrawnStatement, ...]] = EMPTY
    withdrawn_as: Mapping[tuple[WithdrawalKind, str], tuple[WithdrawnStatement, ...]] = EMPTY
    scopes: Mapping[str, tuple[DeclaredScope, ...]] = EMPTY
    patterns: Mapping[str, None] = EMPTY
    signed_by: Pairs[str, str] = field(default=EMPTY, metadata={"pairs": True})
    children: Pairs[str, str] = field(default=EMPTY, metadata={"pairs": True})
    superseding: Pairs[str, str] = field(default=EMPTY, metadata={"pairs": True})
    covering: Pairs[str, str] = field(default=EMPTY, metadata={"pairs": True})
    specified: Pairs[str, str] = field(default=EMPTY, metadata={"pairs": True})
    extending: Pairs[str, str] = field(default=EMPTY, metadata={"pairs": True})

    def with_changes(self, drafts: Drafts) -> Tables:
        """Return the tables after a step; each shares what did not change."""
        return Tables(
            *(
                _related(getattr(self, name), getattr(drafts, name).changes)
                if name in PAIRS
                else _changed(getattr(self, name), getattr(drafts, name).changes)
                for name in NAMES
            )
        )


NAMES = tuple(each.name for each in fields(Tables))
PAIRS = frozenset(each.name for each in fields(Tables) if each.metadata)
"""The tables that are relations."""


@dataclass(frozen=True, slots=True)
class Drafts:
    """The changes of one step, table by table; see ``Tables``."""

    files: Draft[str, str]
    signed: Draft[str, SignedPayload]
    evidence: Draft[str, Evidence[Any]]
    refused: Draft[str, str]
    manifests: Draft[tuple[str, str], tuple[Evidence[Manifest], ...]]
    manifests_by_digest: Draft[str, Evidence[Manifest]]
    approvals: Draft[str, tuple[Evidence[Approval], ...]]
    results: Draft[str, tuple[Evidence[Result], ...]]
    environments: Draft[str, tuple[Evidence[Environment], ...]]
    waivers: Draft[str, tuple[Evidence[Waiver], ...]]
    bindings: Draft[tuple[str, str], tuple[Evidence[DeploymentBinding], ...]]
    specifications: Draft[str, Evidence[Specification]]
    failures: Draft[str, tuple[tuple[str, Failure], ...]]
    successors: Draft[str, tuple[Successor, ...]]
    statements: Draft[str, tuple[LineageNode, ...]]
    declared: Draft[str, tuple[tuple[str, str], ...]]
    adapted: Draft[str, None]
    lineages: Draft[str, tuple[Successor, ...]]
    succeeds: Draft[str, tuple[str, ...]]
    taken_over: Draft[tuple[str, str], tuple[str, ...]]
    took: Draft[tuple[str, str], None]
    withdrawn: Draft[tuple[str, str], tuple[WithdrawnStatement, ...]]
    withdrawn_as: Draft[tuple[WithdrawalKind, str], tuple[WithdrawnStatement, ...]]
    scopes: Draft[str, tuple[DeclaredScope, ...]]
    patterns: Draft[str, None]
    signed_by: PairsDraft[str, str]
    children: PairsDraft[str, str]
    superseding: PairsDraft[str, str]
    covering: PairsDraft[str, str]
    specified: PairsDraft[str, str]
    extending: PairsDraft[str, str]

    @classmethod
    def of(cls, tables: Tables) -> Drafts:
        """Begin a step over ``tables``."""
        made: list[Any] = [
            PairsDraft(getattr(tables, name)) if name in PAIRS else Draft(getattr(tables, name))
            for name in NAMES
        ]
        return cls(*made)


def _changed(base: Any, changes: Mapping[Any, Any]) -> Any:  # noqa: ANN401 - a table of any type
    if not changes:
        return base
    with base.mutate() as table:
        for key, value in changes.items():
            if value is GONE:
                del table[key]
            else:
                table[key] = value
        return table.finish()


def _related(base: Any, changes: Mapping[Any, dict[Any, bool]]) -> Any:  # noqa: ANN401 - as above
    new: dict[Any, Any] = {}
    for left, sides in changes.items():
        related = _changed(
            base.get(left, EMPTY),
            {right: None if keep else GONE for right, keep in sides.items()},
        )
        if related or left in base:
            new[left] = related or GONE
    return _changed(base, new)
