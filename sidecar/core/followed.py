"""Follows the trust states that another process advances, from its tables and changed views.

The process that advances a state keeps its tables elsewhere (on disk) and reads them back. Another
process that reads the same tables needs what is derived from the views: keys, and the index of each
authority's withdrawals. Only those of changed views are computed again. Which earlier statements a
withdrawal reaches (law 3) follows from the tables; it is looked up when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from immutables import Map

from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.core.evidence import Signer
from sidecar.core.grants import OperatorTrust
from sidecar.core.memory_tables import RememberedTables
from sidecar.core.snapshot import AuthorityView, KeyRecord, TrustState
from sidecar.core.tables import EMPTY, Tables
from sidecar.core.trust_state import VerifiedState, key_records
from sidecar.core.withdrawals import AuthoredNode, WithdrawalIndex, reaching

_MOST_FOUND = 4096
"""Nodes of one authority that are kept at hand."""


@dataclass(frozen=True, slots=True)
class FollowedViews:
    """What follows from the views of the authorities, at one epoch.

    Attributes:
        views: Authority → view.
        keys: (authority, fingerprint) → record.
        indexes: Authority → index of its withdrawals, without what they reach beyond that.
    """

    views: Map[str, AuthorityView] = EMPTY
    keys: Map[Signer, KeyRecord] = EMPTY
    indexes: Map[str, WithdrawalIndex] = EMPTY

    def with_changes(self, changed: Mapping[str, AuthorityView | None]) -> FollowedViews:
        """Return the same with new views, or without those that are ``None``."""
        views, keys, indexes = self.views, self.keys, self.indexes
        for name, view in changed.items():
            before = views.get(name)
            if before is None or view is None or before.document != view.document:
                for signer in [signer for signer in keys if signer.authority == name]:
                    keys = keys.delete(signer)
                if view is not None:
                    keys = keys.update(key_records(view))
            if view is None:
                views = views.delete(name) if before is not None else views
                indexes = indexes.delete(name) if name in indexes else indexes
                continue
            views = views.set(name, view)
            if before is None or before.withdrawals != view.withdrawals:
                indexes = indexes.set(name, WithdrawalIndex.of(view.withdrawals.entries))
        return FollowedViews(views, keys, indexes)

    def state(self, operator: OperatorTrust, tables: Tables, epoch: int) -> TrustState:
        """Return the trust state of an epoch.

        Args:
            operator: The configuration that the tables follow from.
            tables: As they were committed with these views.
            epoch: Of the step.
        """
        indexes = self.indexes
        if tables.withdrawn:
            indexes = Map({name: _reaching(index, tables) for name, index in indexes.items()})
        return VerifiedState(
            operator=operator,
            memory=RememberedTables(tables),
            views=self.views,
            keys=self.keys,
            indexes=indexes,
            tables=tables,
        ).snapshot(epoch)


def _reaching(index: WithdrawalIndex, tables: Tables) -> WithdrawalIndex:
    reached = ReachedStatements(tables, index.exact)
    return FollowedIndex(index.entries, index.exact, index.patterns, reached)


@dataclass(frozen=True, slots=True)
class FollowedIndex(WithdrawalIndex):
    """An index that looks up what withdrawals reach; it is another one at each epoch."""

    @property
    def identity(self) -> object:
        """Return an object of this index alone that does not keep its tables in memory."""
        assert isinstance(self.authored, ReachedStatements)
        return self.authored.mark


class ReachedStatements(Mapping[AuthoredNode, tuple[Withdrawal, ...]]):
    """Earlier statements that one authority's withdrawals reach, looked up in the tables.

    Args:
        tables: Of the epoch.
        exact: The authority's withdrawals by kind and subject.
    """

    __slots__ = ("_exact", "_found", "_tables", "mark")

    def __init__(
        self, tables: Tables, exact: Mapping[tuple[WithdrawalKind, str], tuple[Withdrawal, ...]]
    ) -> None:
        self._tables, self._exact = tables, exact
        self._found: dict[AuthoredNode, tuple[Withdrawal, ...]] = {}
        self.mark = object()

    def get(self, node: AuthoredNode, default: object = None) -> tuple[Withdrawal, ...]:  # noqa: ARG002
        """Return the entries that reach ``node``; none for most."""
        found = self._found.get(node)
        if found is None:
            statements = reaching(node, self._tables.evidence, self._tables.withdrawn)
            if len(self._found) >= _MOST_FOUND:
                self._found = {}
            found = self._found[node] = tuple(
                entry
                for each in statements
                for entry in self._exact.get((each.kind, each.digest), ())
            )
        return found

    def __getitem__(self, node: AuthoredNode) -> tuple[Withdrawal, ...]:
        """Return the entries that reach ``node``."""
        return self.get(node)

    def __iter__(self) -> Iterator[AuthoredNode]:
        """Raise: what is reached is found by looking it up."""
        raise NotImplementedError("what withdrawals reach is looked up")

    def __len__(self) -> int:
        """Raise, as ``__iter__``."""
        raise NotImplementedError("what withdrawals reach is looked up")
