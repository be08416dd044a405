"""Holds what is remembered as tables, so that one more entry costs one record."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from sidecar.core import declared
from sidecar.core.grants import OperatorTrust
from sidecar.core.lineages import keep_lineage, keep_takeover
from sidecar.core.memory import (
    DeclaredScope,
    Memory,
    Remembered,
    Statements,
    Successor,
    Takeover,
    WithdrawnStatement,
)
from sidecar.core.tables import Draft, Drafts, Tables
from sidecar.core.withdrawals import remember

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class RememberedTables:
    """What is remembered, read from the tables of one state; see ``memory.Remembered``.

    Each property costs a pass over what it returns.
    """

    NAMES: ClassVar = ("taken_over", "lineages", "statements", "adapted", "withdrawn", "scopes")

    tables: Tables

    @property
    def takeovers(self) -> tuple[Takeover, ...]:
        """Every take-over, sorted."""
        return tuple(
            sorted(
                Takeover(manifest, by, environment)
                for (manifest, environment), successors in self.tables.taken_over.items()
                for by in successors
            )
        )

    @property
    def successors(self) -> tuple[Successor, ...]:
        """What the lineage of each superseding manifest named, sorted."""
        return tuple(sorted(each for found in self.tables.lineages.values() for each in found))

    @property
    def statements(self) -> tuple[Statements, ...]:
        """Approvals and results about manifests that others build on, sorted."""
        return tuple(Statements(*each) for each in sorted(self.tables.statements.items()))

    @property
    def adapted(self) -> tuple[str, ...]:
        """``provider/id`` of models that have a manifest, sorted."""
        return tuple(sorted(self.tables.adapted))

    @property
    def withdrawn(self) -> tuple[WithdrawnStatement, ...]:
        """Statements that were withdrawn by digest, sorted."""
        return tuple(sorted(each for found in self.tables.withdrawn.values() for each in found))

    @property
    def declared(self) -> tuple[DeclaredScope, ...]:
        """What each environment was ever declared for, sorted."""
        return tuple(sorted(each for found in self.tables.scopes.values() for each in found))

    def whole(self) -> Memory:
        """Return it as one value."""
        return Memory(
            takeovers=self.takeovers,
            successors=self.successors,
            statements=self.statements,
            adapted=self.adapted,
            withdrawn=self.withdrawn,
            declared=self.declared,
        )

    def write(self) -> bytes:
        """Write it as RFC 8785 canonical JSON."""
        return self.whole().write()


def added(drafts: Drafts) -> Memory:
    """Return what a step adds to what is remembered, or remembers more of; mostly nothing."""
    return Memory(
        takeovers=tuple(
            Takeover(manifest, by, environment)
            for (manifest, environment), successors in _sets(drafts.taken_over)
            for by in successors
        ),
        successors=tuple(each for _, found in _sets(drafts.lineages) for each in found),
        statements=tuple(Statements(*each) for each in _sets(drafts.statements)),
        adapted=tuple(sorted(drafts.adapted.changes)),
        withdrawn=tuple(each for _, found in _sets(drafts.withdrawn) for each in found),
        declared=tuple(each for _, found in _sets(drafts.scopes) for each in found),
    )


def merged(memories: Iterable[Memory]) -> Memory:
    """Return everything that several memories hold; a later one may hold more of the same."""
    tables = Tables()
    drafts = Drafts.of(tables)
    for memory in memories:
        _recall(drafts, memory)
    return RememberedTables(tables.with_changes(drafts)).whole()


def _sets(draft: Draft[K, tuple[V, ...]]) -> Iterator[tuple[K, tuple[V, ...]]]:
    """Yield of each changed key what its value has and had not before."""
    for key in draft.changes:
        before = draft.base.get(key, ())
        yield key, tuple(each for each in draft[key] if each not in before)


def recalled(memory: Remembered, operator: OperatorTrust) -> Tables:
    """Return tables in which nothing is known but what is remembered."""
    tables = Tables()
    drafts = Drafts.of(tables)
    recall(drafts, memory, operator)
    return tables.with_changes(drafts)


def recall(drafts: Drafts, memory: Remembered, operator: OperatorTrust) -> None:
    """Add a memory to the tables of a step."""
    _recall(drafts, memory)
    for manifest in {each.manifest for each in memory.successors}:
        drafts.successors[manifest] = drafts.lineages[manifest]
    declared.remember(drafts, operator, memory.declared)


def _recall(drafts: Drafts, memory: Remembered) -> None:
    for each in memory.takeovers:
        keep_takeover(drafts, each.manifest, each.by, each.environment)
    for successor in memory.successors:
        keep_lineage(drafts, successor)
    for about in memory.statements:
        nodes = {*drafts.statements.get(about.manifest, ()), *about.nodes}
        drafts.statements[about.manifest] = tuple(sorted(nodes))
    for name in memory.adapted:
        drafts.adapted[name] = None
    for statement in memory.withdrawn:
        remember(drafts, statement)
    for scope in memory.declared:
        known = {*drafts.scopes.get(scope.environment, ()), scope}
        drafts.scopes[scope.environment] = tuple(sorted(known))
