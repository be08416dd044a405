"""Keeps the trust state on disk: what is remembered in a journal, everything else in the store.

Theory of operation. What a step remembers is appended to the journal and synced first; then the
step is committed to the store. After a crash between the two, the journal has more than the store
includes (``Meta.remembered``), and the rest is added at the start.

A step that cannot be written is not held back, since it may contain a withdrawal. It is kept in
memory over the tables of the last commit, and written with a later one.

One process writes: the one that holds the lock. A gate that is started beside another one, to take
its port over, begins with what the other wrote and keeps its own steps in memory; once the other
has ended, it takes the store over (``take_over``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import lmdb

from sidecar.core.grants import OperatorTrust
from sidecar.core.memory import NOTHING, Memory
from sidecar.core.memory_tables import RememberedTables, added, merged, recall
from sidecar.core.predicates import ENVIRONMENT
from sidecar.core.snapshot import AuthorityView
from sidecar.core.tables import GONE, PAIRS, Draft, Drafts, PairsDraft, Tables
from sidecar.core.trust_state import Change, VerifiedState, advance
from sidecar.core.verification import VerifiedFile
from sidecar.trust import memory_journal, verified_store, view_records
from sidecar.trust.config import TrustConfigError
from sidecar.trust.evidence_folder import SeenFile
from sidecar.trust.verified_store import (
    UNJOURNALED,
    CommittedStep,
    Meta,
    NeededStoreError,
    StoreWriteError,
)
from sidecar.trust.writer_lock import WriterLock

_LOG = logging.getLogger("sidecar.trust")

_BATCH = 5_000


class DurableState:
    """The store and the journal of one state folder. One thread at a time uses it.

    Args:
        state_dir: The state folder, which exists.
        operator: The operator's grants.
        lock: The writer's lock, where it is held already.
        continues: Whether the process that wrote before ended just now, so that who was heard then
            is heard.

    Raises:
        TrustConfigError: The folder cannot be used, the journal is damaged, or the store cannot be
            relied on and remembers what the journal does not.
    """

    def __init__(
        self,
        state_dir: Path,
        operator: OperatorTrust,
        *,
        lock: WriterLock | None = None,
        continues: bool = False,
    ) -> None:
        self._state_dir, self._operator, self._continues = state_dir, operator, continues
        self._digest = verified_store.operator_digest(operator)
        self._views: dict[str, bytes | None] = {}
        self._marks: dict[str, tuple[int, bool]] = {}
        self._unsaved: tuple[Memory, ...] = ()
        self._uncommitted: Drafts | None = None
        self._lock = lock or WriterLock(state_dir)
        self.problems: dict[str, str] = {}
        memory = _migrated(state_dir)
        self._size = memory_journal.size(state_dir)
        try:
            self._store = verified_store.open_store(
                state_dir, check=self._lock.acquire(), needed=self._lacks
            )
        except (OSError, lmdb.Error) as error:
            raise TrustConfigError(f"{state_dir}: the store cannot be opened: {error}") from error
        except NeededStoreError as error:
            self._lock.release()
            raise self._needed(str(error)) from error
        self.epoch = 0
        self._first: VerifiedState | None = self._resumed(memory, starting=True)

    def first_state(self) -> VerifiedState:
        """Return the state to begin with, once.

        It is not kept here: LMDB uses no page again that an epoch still held may read, so that the
        store would grow with every step.
        """
        state, self._first = self._first, None
        assert state is not None, "the first state was returned before"
        return state

    def close(self) -> None:
        """Close the store; no state that was made from it may be read afterwards."""
        self._store.close()
        self._lock.release()

    def advance(self, state: VerifiedState, change: Change) -> VerifiedState:
        """Advance a state, durably where that is possible, and count the epoch."""
        state = self.take_over(state)
        self.epoch += 1
        for name, view in change.views.items():
            if name in self._operator.grants:
                self._views |= view_records.write(name, state.views.get(name), view)
                self._marks.pop(name, None)
                if view is not None:
                    self._marks[name] = self.epoch, view.heard_since_start
        return advance(state, change, self._keep)

    @property
    def written(self) -> bool:
        """Return whether the last step is in the store."""
        return self._uncommitted is None

    def identity(self) -> int:
        """Return the identity of the store; see ``VerifiedStore.identity``."""
        return self._store.identity()

    def write_again(self) -> None:
        """Write a step that could not be written before."""
        if self._uncommitted is not None and self._lock.held:
            step, self._uncommitted = self._uncommitted, None
            self._commit(step)

    def forget_readers(self) -> None:
        """Free what processes that ended without closing the store were reading."""
        self._store.forget_readers()

    def paths(self) -> dict[str, SeenFile]:
        """Return the files of evidence as an earlier process saw them."""
        return self._store.paths()

    def keep_paths(self, changed: Mapping[str, SeenFile | None]) -> None:
        """Keep how files of evidence were seen, where that is possible."""
        if changed and self._lock.held:
            with suppress(StoreWriteError):
                self._store.keep_paths(changed)

    def save_again(self) -> None:
        """Write what is to be remembered and could not be written before."""
        if self._unsaved and self._lock.held:
            self._append(NOTHING)
            if not self._unsaved and self._uncommitted is None:
                # The store states that the journal has all of it: from now on it may be removed.
                self._commit(Drafts.of(self._store.epoch().tables()))

    def take_over(self, state: VerifiedState) -> VerifiedState:
        """Return ``state``; kept in the store if the process that wrote there has just ended."""
        if self._lock.held or not self._lock.acquire():
            return state
        unsaved, self._unsaved, self._uncommitted = self._unsaved, (), None
        self._views = {}
        self._size = memory_journal.size(self._state_dir)
        self._append(merged(unsaved))
        epoch = self.epoch
        if self._is_foreign(self._store.meta()):
            self._start_again()  # what it remembers is in the journal, or was seen here as well
        kept = self._resumed(NOTHING)
        self.epoch = max(self.epoch, epoch)
        views: dict[str, AuthorityView | None] = dict.fromkeys(kept.views)
        files = kept.tables.files
        missing = (f for f in _files(state.tables) if self._differs(kept.tables, f))
        gone = tuple(digest for digest in files if digest not in state.tables.files)
        return self.advance(kept, Change({**views, **state.views}, tuple(missing), gone))

    @staticmethod
    def _differs(tables: Tables, file: VerifiedFile) -> bool:
        held = tables.signed.get(file.digest)
        return held is None or dict(held.files).get(file.file_digest) != file.fingerprints

    def _resumed(self, memory: Memory, *, starting: bool = False) -> VerifiedState:
        meta = self._store.meta()
        if not self._lock.held:
            return self._borrowed(meta, memory)
        if meta is None:
            if memory != NOTHING:
                self._append(memory)
            return self._begun(merged((memory, self._journal())))
        self.epoch = meta.epoch
        tables = self._store.epoch().tables()
        tail = self._not_included(meta.remembered)
        if tail is None:
            _LOG.warning("%s has not all that the store has", self._state_dir / memory_journal.NAME)
            self._append(_whole(tables))
            tail = self._journal()
        views = self._views_resumed()
        if meta.operator != self._digest:
            if self._unsaved and starting:
                problem = f"{self._store.folder} follows from another configuration"
                self.close()
                raise self._needed(problem)
            return self._rebuilt(tables, views, merged((_whole(tables), self._journal())))
        if tail != NOTHING:
            drafts = Drafts.of(tables)
            recall(drafts, tail, self._operator)
            tables = self._commit(drafts)
        return VerifiedState.resume(self._operator, tables, views)

    def _not_included(self, remembered: int) -> Memory | None:
        """Return what the journal has beyond the store; ``None`` if it is not the store's journal.

        That was removed, or put back from a backup, or the store was.
        """
        if remembered == UNJOURNALED or remembered > self._size:
            return None
        try:
            return memory_journal.read(self._state_dir, remembered).memory
        except TrustConfigError:
            self._journal()  # raises if it is damaged; else the store's count is of another journal
            return None

    def _lacks(self, meta: Meta) -> bool:
        """Return whether the journal lacks what a store with this header remembers."""
        return self._not_included(meta.remembered) is None

    def _needed(self, problem: str) -> TrustConfigError:
        journal = self._state_dir / memory_journal.NAME
        return TrustConfigError(
            f"{problem}, and {journal} lacks what it remembers, since the disk was full, or the "
            "journal was removed; make room on the disk and start what wrote the store once more, "
            "or restore both from a backup; without that store the gate forgets which manifests "
            "were superseded or withdrawn, unless their evidence is still there"
        )

    @staticmethod
    def _is_foreign(meta: Meta | None) -> bool:
        return meta is not None and meta.format != verified_store.FORMAT

    def _views_resumed(self) -> dict[str, AuthorityView]:
        """Return the views of the last step, each marked as it is heard now."""
        marks = self._store.marks()
        heard = {name for name, (_, was_heard) in marks.items() if was_heard and self._continues}
        views = view_records.read(self._store.views(), heard)
        self._marks = {
            name: (marks.get(name, (self.epoch, False))[0], view.heard_since_start)
            for name, view in views.items()
        }
        return views

    def _journal(self) -> Memory:
        return memory_journal.read(self._state_dir).memory

    def _borrowed(self, meta: Meta | None, memory: Memory) -> VerifiedState:
        """Begin with what another process wrote, without writing."""
        _LOG.info("another process writes %s; this one takes over when it ends", self._state_dir)
        if meta is not None and self._is_foreign(meta) and self._lacks(meta):
            raise self._needed(f"another process writes {self._state_dir} in format {meta.format}")
        if meta is None or self._is_foreign(meta) or meta.operator != self._digest:
            return VerifiedState.begin(self._operator, merged((memory, self._journal())))
        self.epoch = meta.epoch
        views = view_records.read(self._store.views())
        return VerifiedState.resume(self._operator, self._store.epoch().tables(), views)

    def _rebuilt(
        self, tables: Tables, views: Mapping[str, AuthorityView], memory: Memory
    ) -> VerifiedState:
        """Compute every table again under another configuration; no signature is tried."""
        files = [*_files(tables)]
        # Declarations first: which successor is complete depends on the newest of each.
        files.sort(key=lambda file: file.statement.predicate_type != ENVIRONMENT)
        self._start_again()
        state = self.advance(self._begun(memory), Change(views))
        for at in range(0, len(files), _BATCH):
            state = self.advance(state, Change(added=tuple(files[at : at + _BATCH])))
        return state

    def _begun(self, memory: Memory) -> VerifiedState:
        """Return a state that holds nothing but what is remembered, and commit it."""
        empty = Tables()
        drafts = Drafts.of(empty)
        recall(drafts, memory, self._operator)
        return VerifiedState.resume(self._operator, self._commit(drafts), {})

    def _start_again(self) -> None:
        self._store.close()
        self._store, self._marks = verified_store.empty_store(self._state_dir), {}

    def _keep(self, _: Tables, drafts: Drafts) -> Tables:
        new = added(drafts)
        if new != NOTHING or self._unsaved:
            self._append(new)
        return self._commit(drafts)

    def _commit(self, drafts: Drafts) -> Tables:
        step = drafts if self._uncommitted is None else _stacked(self._uncommitted, drafts)
        if not self._lock.held:
            self._uncommitted = step
            return _overlaid(step)
        journaled = UNJOURNALED if self._unsaved else self._size
        try:
            tables = self._store.commit(
                CommittedStep(step, self._views, self._operator, self._marks, self.epoch, journaled)
            )
        except StoreWriteError as error:
            self._note("store", f"{error}; a restart verifies again what was not written")
            self._uncommitted = step
            return _overlaid(step)
        self._views, self._uncommitted = {}, None
        self._note("store", "")
        return tables

    def _append(self, new: Memory) -> None:
        pending = (*self._unsaved, new)
        if not self._lock.held:
            self._unsaved = pending
            return
        try:
            self._size = memory_journal.append(self._state_dir, self._size, merged(pending))
        except OSError as error:
            path = self._state_dir / memory_journal.NAME
            why = f"{path} cannot be written: {error.strerror}"
            self._note("journal", f"{why}; a restart would forget what was superseded")
            self._unsaved = pending
            return
        self._unsaved = ()
        self._note("journal", "")

    def _note(self, part: str, problem: str) -> None:
        if problem and problem != self.problems.get(part):
            _LOG.error("%s", problem)
        self.problems[part] = problem


def remembered(state_dir: Path) -> Memory:
    """Return what a gate remembers, for a command that runs once.

    Raises:
        TrustConfigError: It is damaged.
    """
    return merged((_migrated(state_dir), memory_journal.read(state_dir).memory))


def _migrated(state_dir: Path) -> Memory:
    """Return what an earlier version remembered, where there is no journal yet."""
    if (state_dir / memory_journal.NAME).exists():
        return NOTHING
    return memory_journal.former(state_dir)


def _whole(tables: Tables) -> Memory:
    return RememberedTables(tables).whole()


def _files(tables: Tables) -> Iterator[VerifiedFile]:
    for digest in tables.signed:
        held = tables.signed[digest]
        for file_digest, fingerprints in held.files:
            yield VerifiedFile(file_digest, digest, held.statement, fingerprints)


def _stacked(below: Drafts, above: Drafts) -> Drafts:
    """Return the changes of two steps as one, over the tables before both."""
    made: list[Any] = []
    for name in Drafts.__slots__:
        first, second = getattr(below, name), getattr(above, name)
        if name in PAIRS:
            both: Any = PairsDraft(first.base)
            both.changes = {left: {**sides} for left, sides in first.changes.items()}
            for left, sides in second.changes.items():
                for right, keep in sides.items():
                    both.put(left, right, keep=keep)
        else:
            both = Draft(first.base)
            both.changes = {**first.changes, **second.changes}
            for key in [key for key, value in both.changes.items() if value is GONE]:
                del both[key]  # no change where the table before both has no such key
        made.append(both)
    return Drafts(*made)


def _overlaid(drafts: Drafts) -> Tables:
    """Return tables that read a step over the tables before it; it is not changed any more."""
    return Tables(*(getattr(drafts, name) for name in Drafts.__slots__))
