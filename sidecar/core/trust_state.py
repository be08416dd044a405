"""Builds trust states from what the control path obtained, one change at a time.

``advance`` takes the state so far and what changed (files, views) and computes only what depends on
that: whose evidence it is, the tables that hold it, what a withdrawal reaches, which successors are
complete. Each ``VerifiedState`` shares with the one before everything that did not change, and a
``TrustState`` made from it stays whole. From nothing, ``verified`` does all of it.

Evidence whose signature no known key made is named under ``rejected``, and otherwise does not
exist.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, KeysView, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from immutables import Map

from sidecar.core.accepted import Accepted
from sidecar.core.evidence import Signer
from sidecar.core.grants import OperatorTrust
from sidecar.core.keys import PublicKey
from sidecar.core.lineages import Lineages
from sidecar.core.memory import NOTHING, Remembered
from sidecar.core.memory_tables import RememberedTables, recalled
from sidecar.core.reasons import EvidenceError
from sidecar.core.snapshot import AuthorityView, KeyRecord, Rejected, TrustState
from sidecar.core.tables import EMPTY, Drafts, Tables
from sidecar.core.verification import VerifiedFile, verify_file
from sidecar.core.withdrawals import PublishedNoes, WithdrawalIndex, WithdrawalReach

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Change:
    """What changed since the state before; see ``advance``.

    Attributes:
        views: Authority → its new view, or ``None`` where it has none any more.
        added: Verified files that are new, or that further keys signed.
        removed: File digests.
    """

    views: Mapping[str, AuthorityView | None] = field(default_factory=dict)
    added: tuple[VerifiedFile, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifiedState:
    """Everything verified, in the form that the next step starts from.

    Attributes:
        operator: The operator's grants; another operator's configuration needs a new state.
        memory: What is remembered; the same object as long as nothing is new.
        views: Authority → view.
        keys: (authority, fingerprint) → record.
        holders: Fingerprint → who lists the key, and the predicate types that it may sign.
        published: Authority → index of the failures and successors it publishes.
        indexes: Authority → index of its withdrawals.
        tables: All that comes from files, and what is remembered.
        rejected: Verified files of which no signer counts, sorted.
    """

    operator: OperatorTrust
    memory: Remembered
    views: Map[str, AuthorityView] = EMPTY
    keys: Map[Signer, KeyRecord] = EMPTY
    holders: Map[str, Mapping[Signer, tuple[str, ...]]] = EMPTY
    published: Map[str, PublishedNoes] = EMPTY
    indexes: Map[str, WithdrawalIndex] = EMPTY
    tables: Tables = field(default_factory=Tables)
    rejected: tuple[Rejected, ...] = ()

    @classmethod
    def begin(cls, operator: OperatorTrust, memory: Remembered = NOTHING) -> VerifiedState:
        """Return a state without views and files, in which ``memory`` is remembered."""
        return cls(operator, memory, tables=recalled(memory, operator))

    @classmethod
    def resume(
        cls, operator: OperatorTrust, tables: Tables, views: Mapping[str, AuthorityView]
    ) -> VerifiedState:
        """Return a state from its tables and the views that they follow from."""
        step = _Step(cls(operator, RememberedTables(tables), tables=tables), Drafts.of(tables))
        step.take_views(views)
        indexes = dict(step.indexes)
        WithdrawalReach(step.drafts, indexes).update((), step.renewed)
        state = step.result(indexes, lambda held, _: held)
        refused = sorted(tables.refused.items())
        return replace(state, rejected=tuple(Rejected(*each) for each in refused))

    def snapshot(self, epoch: int, refused: Iterable[Rejected] = ()) -> TrustState:
        """Return the trust state of an epoch.

        Args:
            epoch: Larger than that of the state this one replaces.
            refused: Files that were refused before; listed beside those refused here.
        """
        tables = self.tables
        rejected = {each.file_digest: each for each in (*refused, *self.rejected)}
        return TrustState(
            epoch=epoch,
            operator=self.operator,
            authorities=self.views,
            keys=self.keys,
            manifests=tables.manifests,
            manifests_by_digest=tables.manifests_by_digest,
            approvals=tables.approvals,
            results=tables.results,
            environments=tables.environments,
            waivers=tables.waivers,
            bindings=tables.bindings,
            specifications=tables.specifications,
            withdrawals=self.indexes,
            failures=tables.failures,
            successors=tables.successors,
            statements=tables.statements,
            taken_over=KeysView(tables.taken_over),
            declared=tables.declared,
            adapted=KeysView(tables.adapted),
            memory=self.memory,
            rejected=tuple(rejected[digest] for digest in sorted(rejected)),
        )


def build(
    *,
    epoch: int,
    operator: OperatorTrust,
    views: Iterable[AuthorityView],
    evidence: Iterable[bytes],
    memory: Remembered = NOTHING,
) -> TrustState:
    """Verify all evidence and assemble a state; never raises for bad evidence.

    For tests and for commands that run once. The control path verifies each file once and calls
    ``advance``.

    Args:
        epoch: Larger than that of the state this one replaces.
        operator: The operator's grants.
        views: Verified documents, one per authority at most.
        evidence: Envelope files; the order and repetition do not matter.
        memory: Of the state this one replaces, or as it was persisted.
    """
    state, rejected = verified(operator=operator, views=views, evidence=evidence, memory=memory)
    return state.snapshot(epoch, rejected)


def verified(
    *,
    operator: OperatorTrust,
    views: Iterable[AuthorityView],
    evidence: Iterable[bytes],
    memory: Remembered = NOTHING,
) -> tuple[VerifiedState, tuple[Rejected, ...]]:
    """Verify all evidence; return the state that ``advance`` can start from, and what is refused.

    Args:
        operator: The operator's grants.
        views: Verified documents, one per authority at most.
        evidence: Envelope files; the order and repetition do not matter.
        memory: As it was persisted.
    """
    views = tuple(view for view in views if view.name in operator.grants)
    keys = {key for view in views for key in public_keys(view)}
    files: list[VerifiedFile] = []
    rejected: list[Rejected] = []
    for data in frozenset(evidence):
        try:
            files.append(verify_file(data, keys))
        except EvidenceError as error:
            rejected.append(Rejected(hashlib.sha256(data).hexdigest(), str(error)))
    everything = Change({view.name: view for view in views}, tuple(files))
    return advance(VerifiedState.begin(operator, memory), everything), tuple(rejected)


Keep = Callable[[Tables, Drafts], Tables]
"""Returns the tables after a step, from those before it and what it changes."""


def advance(
    state: VerifiedState, change: Change, keep: Keep = Tables.with_changes
) -> VerifiedState:
    """Return the state after a change, computed from what the change touches.

    The result is the same, table by table, as if everything were taken from nothing with what
    ``state`` remembered. All of a change takes effect together.

    Args:
        state: The state before.
        change: What changed since.
        keep: Where the tables are kept.
    """
    step = _Step(state, Drafts.of(state.tables))
    step.take_views(change.views)
    accepted = Accepted(step.drafts, step.holders)
    changed = accepted.update(change.added, change.removed, step.rekeyed)
    indexes = dict(step.indexes)
    WithdrawalReach(step.drafts, indexes, state.indexes).update(changed.digests, step.renewed)
    Lineages(state.operator, step.drafts, step.published).update(changed, step.announced)
    return step.result(indexes, keep)


def public_keys(view: AuthorityView) -> tuple[PublicKey, ...]:
    """Return the attestation keys that a view lists."""
    return tuple(entry.public_key() for entry in view.document.keys)


class _Step:
    """One step: what changed of the views, and the drafts of the tables."""

    def __init__(self, state: VerifiedState, drafts: Drafts) -> None:
        self._state, self.drafts = state, drafts
        self._views = state.views
        self._keys = state.keys
        self.holders = state.holders
        self.published = state.published
        self.indexes = state.indexes
        self.rekeyed: set[str] = set()
        self.renewed: set[str] = set()
        self.announced: set[str] = set()

    def take_views(self, views: Mapping[str, AuthorityView | None]) -> None:
        """Take changed views; what they publish is looked at only where it changed."""
        failed: set[str] = set()
        for name, view in views.items():
            if name not in self._state.operator.grants:
                continue
            before = self._views.get(name)
            if view == before:
                continue
            self._views = _with(self._views, name, view)
            if before is None or view is None or before.document != view.document:
                self._take_keys(name, view)
            if before is None or view is None or before.withdrawals != view.withdrawals:
                failed |= self._take_noes(name, view)
        for manifest in failed:
            entries = tuple(
                (name, failure)
                for name in sorted(self.published)
                for failure in self.published[name].failures.get(manifest, ())
            )
            self.drafts.failures.put(manifest, entries, keep=bool(entries))

    def _take_keys(self, name: str, view: AuthorityView | None) -> None:
        old = {signer for signer in self._keys if signer.authority == name}
        new = {} if view is None else key_records(view)
        for signer in old | new.keys():
            record, before = new.get(signer), self._keys.get(signer)
            if record == before:
                continue
            self._keys = _with(self._keys, signer, record)
            types = None if record is None else record.predicate_types
            if before is None or before.predicate_types != types:
                self.rekeyed.add(signer.fingerprint)
                held = dict(self.holders.get(signer.fingerprint, {}))
                held.pop(signer, None)
                if types is not None:
                    held[signer] = types
                self.holders = _with(self.holders, signer.fingerprint, held or None)

    def _take_noes(self, name: str, view: AuthorityView | None) -> set[str]:
        """Index what an authority publishes; return the manifests whose failures may differ."""
        old = self.published.get(name)
        new = None if view is None else PublishedNoes.of(view.withdrawals)
        self.published = _with(self.published, name, new)
        index = None if view is None else WithdrawalIndex.of(view.withdrawals.entries)
        self.indexes = _with(self.indexes, name, index)
        if index is not None:
            self.renewed.add(name)
        failed: set[str] = set()
        for each in (old, new):
            if each is not None:
                failed |= each.failures.keys()
                self.announced |= each.announced.keys()
        return failed

    def result(self, indexes: dict[str, WithdrawalIndex], keep: Keep) -> VerifiedState:
        """Return the state after the step."""
        state, drafts = self._state, self.drafts
        tables = keep(state.tables, drafts)
        news = any(getattr(drafts, name).changes for name in RememberedTables.NAMES)
        # What is remembered is read from the newest tables, so that no older ones are kept.
        news |= isinstance(state.memory, RememberedTables) and state.memory.tables is state.tables
        same = all(indexes.get(name) is index for name, index in state.indexes.items())
        same &= len(indexes) == len(state.indexes)
        rejected = state.rejected
        if drafts.refused.changes:
            refused = sorted(tables.refused.items())
            rejected = tuple(Rejected(digest, why) for digest, why in refused)
        return replace(
            state,
            memory=RememberedTables(tables) if news else state.memory,
            views=self._views,
            keys=self._keys,
            holders=self.holders,
            published=self.published,
            indexes=state.indexes if same else Map(indexes),
            tables=tables,
            rejected=rejected,
        )


def key_records(view: AuthorityView) -> dict[Signer, KeyRecord]:
    """Return the attestation keys that a view lists, by signer."""
    records = {}
    for entry in view.document.keys:
        key = entry.public_key()
        record = KeyRecord(view.name, key, entry.window, entry.predicate_types, not entry.active)
        records[Signer(view.name, key.fingerprint)] = record
    return records


def _with(table: Map[K, V], key: K, value: V | None) -> Map[K, V]:
    """Return a table with one key replaced, or removed where the value is ``None``."""
    if value is not None:
        return table.set(key, value)
    return table.delete(key) if key in table else table
