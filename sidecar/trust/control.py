"""The control path: follows every source and hands each new trust state on.

Theory of operation. Every authority and every evidence folder has a follower (a thread) of its own.
A follower changes its own entry in the assembler and then has it assembled. Assembling happens
under one lock, from whatever is newest at that moment: of several followers that wait for the lock,
the first assembles for all of them. ``publish`` is called with a state that differs from the one
before, in the order of their epochs, never concurrently.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sidecar.core.grants import OperatorTrust
from sidecar.core.trust_state import AuthorityView, TrustState, assemble, build
from sidecar.trust import config_file, evidence_files, sources
from sidecar.trust.config import TrustConfig, TrustConfigError, TrustedAuthority, check_private
from sidecar.trust.directory_source import FolderChanges
from sidecar.trust.evidence_files import EvidenceFiles
from sidecar.trust.follower import Follower
from sidecar.trust.refresh import RefreshError, refresh
from sidecar.trust.verified_files import VerifiedFiles
from sidecar.trust.view import Memo, NoViewError, read_view

_LOG = logging.getLogger("sidecar.trust")

STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class AuthorityStatus:
    """How an authority's repository stands.

    Attributes:
        name: As the operator knows it.
        version: Of its timestamp metadata; null where nothing verified is kept.
        expires: When its word ends; null as above.
        refreshed: When a refresh last succeeded in this process.
        error: Why the last refresh failed; null where it succeeded or none has ended yet.
    """

    name: str
    version: int | None
    expires: datetime | None
    refreshed: datetime | None
    error: str | None


class Assembler:
    """Keeps the newest of everything and builds trust states from it. Thread-safe."""

    def __init__(self, operator: OperatorTrust, publish: Callable[[TrustState], None]) -> None:
        self._operator = operator
        self._publish = publish
        self._entries = threading.Lock()
        self._views: dict[str, AuthorityView | None] = {}
        self._evidence: dict[Path, frozenset[bytes]] = {}
        self._changed = True
        self._building = threading.Lock()
        self._memory = VerifiedFiles()
        self._epoch = 0
        self._closed = False

    def post_view(self, name: str, view: AuthorityView | None) -> bool:
        """Take an authority's newest view; returns whether it changed, after publishing."""
        with self._entries:
            news = name not in self._views or self._views[name] != view
            self._views[name] = view
            self._changed |= news
        self._assemble()
        return news

    def post_evidence(self, folder: Path, files: frozenset[bytes]) -> bool:
        """Take a folder's newest files; returns whether they changed, after publishing."""
        with self._entries:
            news = self._evidence.get(folder) != files
            self._evidence[folder] = files
            self._changed |= news
        self._assemble()
        return news

    def close(self) -> None:
        """Publish nothing any more; returns when nothing is being published."""
        with self._entries:
            self._closed = True
        with self._building:
            return

    def _assemble(self) -> None:
        """Build and publish, unless another thread did so since the caller's change."""
        with self._building:
            with self._entries:
                if self._closed or not self._changed:
                    return
                views = [view for view in self._views.values() if view is not None]
                evidence = frozenset[bytes]().union(*self._evidence.values())
                self._changed = False
            try:
                self._epoch += 1
                files, rejected = self._memory.verified(views, evidence)
                state = assemble(
                    epoch=self._epoch,
                    operator=self._operator,
                    views=views,
                    files=files,
                    rejected=rejected,
                )
                self._publish(state)
            except BaseException:
                with self._entries:
                    self._changed = True  # nobody has it yet: the next round tries again
                raise


class AuthorityKeeper:
    """Refreshes one authority and knows how it stands."""

    def __init__(self, authority: TrustedAuthority, state_dir: Path) -> None:
        self._authority = authority
        self.source = sources.open_source(authority.source)
        self._state_dir = state_dir
        self._memo = Memo()
        self._heard = False
        self.status = AuthorityStatus(authority.name, None, None, None, None)

    def recall(self) -> AuthorityView | None:
        """Return the view that is kept from before, without asking the source."""
        view, _ = self._kept()
        self._note(view, self.status.refreshed, self.status.error)
        return view

    def refresh(self) -> AuthorityView | None:
        """Ask the source; return the view that holds afterwards, if any."""
        try:
            view = refresh(self._authority, self.source, self._state_dir, self._memo)
        except RefreshError as error:
            kept, why = self._kept()
            text = str(error) if why is None or why in str(error) else f"{error}; {why}"
            self._note(kept, self.status.refreshed, text)
            return kept
        self._heard = True
        self._note(view, datetime.now(UTC), None)
        return replace(view, heard_since_start=True)

    def _kept(self) -> tuple[AuthorityView | None, str | None]:
        try:
            view = read_view(self._authority, self._state_dir, self._memo)
            return replace(view, heard_since_start=self._heard), None
        except NoViewError as error:
            return None, str(error)

    def _note(
        self, view: AuthorityView | None, refreshed: datetime | None, error: str | None
    ) -> None:
        before = self.status
        self.status = AuthorityStatus(
            self._authority.name,
            view.version if view is not None else None,
            view.expires if view is not None else None,
            refreshed,
            error,
        )
        if replace(self.status, refreshed=None) != replace(before, refreshed=None):
            _log_status(self.status)


class ControlPath:
    """The long-running control path.

    Args:
        config: From ``config.load``.
        publish: Called with each new trust state, from one thread at a time.

    Raises:
        TrustConfigError: The state folder cannot be made or used.
    """

    def __init__(self, config: TrustConfig, publish: Callable[[TrustState], None]) -> None:
        make_private(config)
        self._assembler = Assembler(config.operator, publish)
        self._keepers = tuple(AuthorityKeeper(a, config.state_dir) for a in config.authorities)
        self._pending: set[AuthorityKeeper | Path] = {*self._keepers, *config.evidence}
        self._problems: dict[Path, tuple[str, ...]] = {}
        poll = config.poll_seconds
        self._followers = [
            Follower(folder.name, FolderChanges(folder), poll, partial(self._evidence, folder))
            for folder in config.evidence
        ]
        self._followers.extend(
            Follower(keeper.status.name, keeper.source, poll, partial(self._refresh, keeper))
            for keeper in self._keepers
        )

    def start(self) -> None:
        """Start following; returns at once."""
        for follower in self._followers:
            follower.start()

    def stop(self) -> None:
        """Stop following; nothing is published after it returned."""
        for follower in self._followers:
            follower.request_stop()
        for follower in self._followers:
            if not follower.join(STOP_SECONDS):
                _LOG.error("a follower is stuck in its source and did not stop")
        self._assembler.close()

    def first_refresh_done(self) -> bool:
        """Whether every authority's first refresh ended, well or not, and evidence was read."""
        return not self._pending

    def statuses(self) -> tuple[AuthorityStatus, ...]:
        """How each authority stands, in the order of the configuration."""
        return tuple(keeper.status for keeper in self._keepers)

    def _refresh(self, keeper: AuthorityKeeper) -> bool:
        name = keeper.status.name
        try:
            if keeper in self._pending:
                self._assembler.post_view(name, keeper.recall())
            return self._assembler.post_view(name, keeper.refresh())
        finally:
            self._pending.discard(keeper)

    def _evidence(self, folder: Path) -> bool:
        try:
            found = evidence_files.read(folder)
            self._report(folder, found)
            return self._assembler.post_evidence(folder, found.files)
        finally:
            self._pending.discard(folder)

    def _report(self, folder: Path, found: EvidenceFiles) -> None:
        """Log what was left out, once."""
        for problem in sorted({*found.problems} - {*self._problems.get(folder, ())}):
            _LOG.warning("evidence left out: %s", problem)
        self._problems[folder] = found.problems


def load_once(config: TrustConfig) -> tuple[TrustState, tuple[AuthorityStatus, ...]]:
    """Refresh everything once and return the state, for a command that needs no gate.

    Versions are kept like those of the long-running control path, with which it may share the
    state folder.

    Raises:
        TrustConfigError: The state folder cannot be made or used.
    """
    make_private(config)
    keepers = tuple(AuthorityKeeper(a, config.state_dir) for a in config.authorities)
    views = [view for keeper in keepers if (view := keeper.refresh()) is not None]
    evidence: set[bytes] = set()
    for folder in config.evidence:
        evidence |= evidence_files.read(folder).files
    state = build(epoch=1, operator=config.operator, views=views, evidence=evidence)
    return state, tuple(keeper.status for keeper in keepers)


def make_private(config: TrustConfig) -> None:
    """Make the state folder, for its owner only.

    Raises:
        TrustConfigError: It cannot be made, or is open to others.
    """
    try:
        config.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(config.state_dir)
    except OSError as error:
        raise TrustConfigError(
            f"{config.path}: state: {config.state_dir} cannot be made: {error.strerror}"
        ) from error
    except config_file.FileError as error:
        raise TrustConfigError(f"{config.path}: {error}") from error


def _log_status(status: AuthorityStatus) -> None:
    until = status.expires.isoformat() if status.expires is not None else "never verified"
    if status.error is None:
        _LOG.info("%s: version %s, until %s", status.name, status.version, until)
    else:
        _LOG.warning("%s: %s (its last verified word: %s)", status.name, status.error, until)
