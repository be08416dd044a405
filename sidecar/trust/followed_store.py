"""Reads the trust state in force from a store that another process writes.

Theory of operation. ``EpochPage`` states which epoch is in force; a look at it is all that a
request costs while nothing changed. After a change the next look opens a read transaction of the
store, which has that epoch or a later one whole: the tables, the views and the configuration that
it follows from. Views that did not change are kept, tables are read when they are asked for.

Nothing is relied on that cannot be read, and nothing while the writer is silent: each look raises
until it can be relied on again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import lmdb

from sidecar.core.followed import FollowedViews
from sidecar.core.grants import OperatorTrust
from sidecar.core.snapshot import AuthorityView, TrustState
from sidecar.trust import verified_store, view_records
from sidecar.trust.epoch_page import EpochPage
from sidecar.trust.lmdb_tables import Epoch
from sidecar.trust.records import DamagedError
from sidecar.trust.verified_store import FORMAT, VerifiedStore

_LOG = logging.getLogger("sidecar.trust")


class NotInForceError(Exception):
    """Nothing that is stored may be relied on now; the text is one line."""


def _open_store(folder: Path) -> VerifiedStore:
    return VerifiedStore(folder, read_only=True)


class FollowedStore:
    """The state of one state folder, as its writer commits it. One thread uses it.

    Args:
        state_dir: The state folder, which exists.
        open_store: Opens the store in a folder for reading.

    Raises:
        OSError: The page of epochs can be neither made nor mapped.
    """

    def __init__(
        self, state_dir: Path, open_store: Callable[[Path], VerifiedStore] = _open_store
    ) -> None:
        self._state_dir, self._open_store = state_dir, open_store
        self._page = EpochPage(state_dir)
        self._sequence = 0
        self._state: TrustState | None = None
        self._store: VerifiedStore | None = None
        self._identity = 0
        self._operator: OperatorTrust | None = None
        self._digest = ""
        self._views = FollowedViews()
        self._marks: dict[str, tuple[int, bool]] = {}
        self._noted = ""

    def close(self) -> None:
        """Close the store; no state may be read afterwards."""
        self._state = None
        if self._store is not None:
            self._store.close()
            self._store = None

    def current(self) -> TrustState:
        """Return the state in force; the same object as long as nothing changed.

        Raises:
            NotInForceError: There is none that may be relied on.
        """
        page = self._page
        problem = page.problem()
        if problem:
            self._note(problem)
            raise NotInForceError(problem)
        sequence = page.sequence
        if sequence == self._sequence and self._state is not None:
            return self._state
        try:
            self._state = self._read()
        except (lmdb.Error, DamagedError, OSError, ValueError, KeyError) as error:
            self._state = None
            self._note(f"{self._state_dir}: the epoch in force cannot be read: {error}")
            raise NotInForceError("the epoch in force cannot be read; see the log") from error
        self._sequence = sequence
        self._note("")
        return self._state

    def _read(self) -> TrustState:
        """Read the newest epoch; the views that did not change are those of the state before."""
        if self._store is None or self._page.store != self._identity:
            self._open()
        assert self._store is not None
        epoch = self._store.epoch()
        meta = verified_store.meta_of(epoch)
        if meta is None or meta.format != FORMAT:
            found = "no format" if meta is None else f"format {meta.format}"
            raise DamagedError(f"the store has {found}, this version reads {FORMAT}")
        if meta.operator != self._digest or self._operator is None:
            self._operator, self._digest = verified_store.operator_of(epoch), meta.operator
        marks = verified_store.marks_of(epoch)
        self._views = self._views.with_changes(self._changed(epoch, marks))
        self._marks = marks
        return self._views.state(self._operator, epoch.tables(), meta.epoch)

    def _changed(
        self, epoch: Epoch, marks: dict[str, tuple[int, bool]]
    ) -> dict[str, AuthorityView | None]:
        changed: dict[str, AuthorityView | None] = dict.fromkeys(self._marks.keys() - marks.keys())
        for name, mark in marks.items():
            if self._marks.get(name) != mark:
                bodies = verified_store.view_bodies(epoch, view_records.keys(name))
                heard = {name} if mark[1] else set[str]()
                changed[name] = view_records.read(bodies, heard)[name]
        return changed

    def _open(self) -> None:
        """Open the store at its path, where the writer may have put another one."""
        self._state, former, self._store = None, self._store, None
        if former is not None:
            former.close()
        self._store = self._open_store(self._state_dir / verified_store.NAME)
        self._identity = self._store.identity()
        self._views, self._marks, self._operator = FollowedViews(), {}, None

    def _note(self, problem: str) -> None:
        """Log a problem once, and its end."""
        shown = problem.rstrip("0123456789 s") if problem.endswith(" s") else problem
        if shown != self._noted:
            if problem:
                level = logging.WARNING if self._sequence else logging.INFO
                _LOG.log(level, "not ready: %s", problem)
            elif self._noted:
                _LOG.info("the epoch in force can be read again")
            self._noted = shown
