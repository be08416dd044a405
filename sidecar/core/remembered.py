"""Hold what is remembered as tables, so that remembering one thing more costs one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

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
from sidecar.core.tables import Drafts, Tables
from sidecar.core.withdrawals import remember


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


def recalled(memory: Remembered, operator: OperatorTrust) -> Tables:
    """Return tables in which nothing is known but what is remembered."""
    tables = Tables()
    drafts = Drafts.of(tables)
    for each in memory.takeovers:
        keep_takeover(drafts, each.manifest, each.by, each.environment)
    for successor in memory.successors:
        keep_lineage(drafts, successor)
    for manifest, entries in drafts.lineages.items():
        drafts.successors[manifest] = entries
    for about in memory.statements:
        drafts.statements[about.manifest] = about.nodes
    for name in memory.adapted:
        drafts.adapted[name] = None
    for statement in memory.withdrawn:
        remember(drafts, statement)
    declared.remember(drafts, operator, memory.declared)
    return tables.with_changes(drafts)
