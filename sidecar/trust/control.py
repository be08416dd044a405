"""The control path: follows every source and hands each new trust state on.

Theory of operation. Every authority and every evidence folder has a follower (a thread) of its own.
An authority's follower posts its view, which is published at once. A folder's follower only reads;
what it finds is verified by one further thread (``evidence_verifier``), behind the documents: a
withdrawal never waits for evidence, however much of it there is.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sidecar.core.snapshot import Rejected
from sidecar.core.trust_state import TrustState, VerifiedState, verified
from sidecar.trust import config_file, durable_state, sources
from sidecar.trust.assembler import Assembler
from sidecar.trust.config import TrustConfig, TrustConfigError, check_private
from sidecar.trust.directory_source import FolderChanges
from sidecar.trust.durable_state import DurableState
from sidecar.trust.evidence_folder import EvidenceFolder, SeenFile
from sidecar.trust.evidence_mirror import NOTHING, EvidenceMirror
from sidecar.trust.evidence_verifier import EvidenceReport, EvidenceVerifier
from sidecar.trust.follower import Follower
from sidecar.trust.limits import EVIDENCE
from sidecar.trust.refresher import AuthorityRefresher, AuthorityStatus
from sidecar.trust.sources import OpenEvidence
from sidecar.trust.writer_lock import WriterLock

_LOG = logging.getLogger("sidecar.trust")

STOP_SECONDS = 10.0
DRAIN_SECONDS = 5.0
"""How long a folder's reading waits for verification that makes no progress."""
_DRAIN_STEP = 0.02
EVIDENCE_SECONDS = 30.0
"""How long a starting gate waits for evidence once every authority was asked."""


@dataclass(frozen=True, slots=True)
class EvidenceStatus:
    """The state of the evidence folders.

    Attributes:
        report: What was verified and what was refused.
        problems: What could not be read or kept, one line each.
    """

    report: EvidenceReport = field(default_factory=EvidenceReport)
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """What the store has: its last step, which store it is, and whether the step is in it."""

    epoch: int
    store: int
    written: bool


class ControlPath:
    """The long-running control path.

    Args:
        config: From ``config.load``.
        publish: Called with each new trust state, from one thread at a time.
        lock: As of ``DurableState``.
        continues: As of ``DurableState``.

    Raises:
        TrustConfigError: The state folder cannot be made or used, or is damaged.
    """

    def __init__(
        self,
        config: TrustConfig,
        publish: Callable[[TrustState], None],
        *,
        lock: WriterLock | None = None,
        continues: bool = False,
    ) -> None:
        make_private(config)
        self._durable = DurableState(
            config.state_dir, config.operator, lock=lock, continues=continues
        )
        self._assembler = Assembler(self._durable, publish)
        self._verifier = EvidenceVerifier(
            self._assembler.post_files, find=self._assembler.file, kept=self._kept
        )
        views = self._durable.state.views
        heard = {name for name, view in views.items() if view.heard_since_start}
        self._refreshers = tuple(
            AuthorityRefresher(each, config.state_dir, heard=each.name in heard)
            for each in config.authorities
        )
        opened = [sources.open_evidence(each, config.state_dir) for each in config.evidence]
        self._pending: set[AuthorityRefresher | Path] = {
            *self._refreshers,
            *(each.folder for each in opened),
        }
        self._own_folders = [each.folder for each in opened if each.mirror is None]
        self._evidence_since: float | None = None
        self._evidence_late = False
        self._problems: dict[Path | EvidenceMirror, tuple[str, ...]] = {}
        self._stopping = threading.Event()
        self._lost, self._dropped, self._clean = threading.Lock(), False, True
        poll = config.poll_seconds
        self._followers = [
            Follower(
                refresher.status.name, refresher.source, poll, partial(self._refresh, refresher)
            )
            for refresher in self._refreshers
        ]
        self._folders = self._evidence_folders(opened, self._durable.paths())
        self._followers.extend(
            Follower(
                each.name,
                each.mirror or FolderChanges(each.folder, note=self._folders[each.folder].note),
                poll,
                partial(self._evidence, each, self._folders[each.folder]),
            )
            for each in opened
        )

    def start(self) -> None:
        """Start following; returns at once."""
        for folder in self._own_folders:
            if not folder.is_dir():
                _LOG.warning("evidence: %s: there is no such folder yet", folder)
        self._verifier.start()
        for follower in self._followers:
            follower.start()

    def stop(self) -> None:
        """Stop following; nothing is published after it returned."""
        self._stopping.set()
        threads: list[Follower | EvidenceVerifier] = [*self._followers, self._verifier]
        for thread in threads:
            thread.request_stop()
        for thread in threads:
            if not thread.join(STOP_SECONDS):
                _LOG.error("a follower is stuck in its source and did not stop")
        self._assembler.close()
        self._durable.close()

    def first_refresh_done(self) -> bool:
        """Return whether every first refresh ended, well or not, and evidence is verified.

        Evidence is waited for ``EVIDENCE_SECONDS`` at most: a folder that hangs or is flooded can
        make the gate deny, and must not keep it from becoming ready.
        """
        if not self.asked():
            return False
        if not self._pending and self._verifier.settled():
            return True
        if self._evidence_since is None:
            self._evidence_since = time.monotonic()
        late = time.monotonic() - self._evidence_since >= EVIDENCE_SECONDS
        if late and not self._evidence_late:
            self._evidence_late = True
            _LOG.warning("evidence is not verified yet; what rests on the rest is denied meanwhile")
        return late

    def asked(self) -> bool:
        """Return whether every authority's first refresh ended, well or not."""
        return not any(isinstance(each, AuthorityRefresher) for each in tuple(self._pending))

    def committed(self) -> Committed:
        """Return what the store has now."""
        durable = self._durable
        return Committed(durable.epoch, durable.identity(), written=durable.written)

    def at_rest(self, work: Callable[[Committed], None]) -> None:
        """Call ``work`` between two steps: what was found before is in force.

        What could not be written is written first, where that is possible now.
        """
        with self._assembler.at_rest():
            self._durable.write_again()
            work(self.committed())

    def forget_readers(self) -> None:
        """Free what processes that ended without closing the store were reading."""
        self._durable.forget_readers()

    def statuses(self) -> tuple[AuthorityStatus, ...]:
        """Return the status of each authority, in the order of the configuration."""
        return tuple(refresher.status for refresher in self._refreshers)

    def evidence(self) -> EvidenceStatus:
        """Return the status of the evidence folders."""
        problems = tuple(line for lines in tuple(self._problems.values()) for line in lines)
        problems += tuple(filter(None, tuple(self._durable.problems.values())))
        return EvidenceStatus(self._verifier.report(), problems)

    def _refresh(self, refresher: AuthorityRefresher) -> bool:
        name = refresher.status.name
        try:
            if refresher in self._pending:
                self._assembler.post_view(name, refresher.recall())
            return self._assembler.post_view(name, refresher.refresh())
        finally:
            self._verifier.put_keys(self._assembler.keys())
            self._assembler.save_again()
            self._pending.discard(refresher)

    def _evidence_folders(
        self, opened: list[OpenEvidence], seen: Mapping[str, SeenFile]
    ) -> dict[Path, EvidenceFolder]:
        """Return each folder of evidence, with what an earlier process saw of it."""
        made = {}
        for path in (each.folder for each in opened):
            inside = {at: each for at, each in seen.items() if at.startswith(f"{path}/")}
            made[path] = EvidenceFolder(
                path, partial(self._holds, path), EVIDENCE, inside, self._stopping.is_set
            )
        return made

    def _holds(self, path: Path, digest: str) -> bool:
        return self._verifier.holds_verified(path, digest) or self._assembler.has_file(digest)

    def _kept(self, digest: str) -> bool:
        return any(folder.has(digest) for folder in self._folders.values())

    def _evidence(self, source: OpenEvidence, folder: EvidenceFolder) -> bool:
        path, whole, news, fetched = source.folder, False, False, NOTHING
        try:
            if source.mirror is not None:
                fetched = source.mirror.fetch()
                if fetched.changed:
                    folder.note(fetched.changed)
                self._report(source.mirror, fetched.problems)
            if not folder.due(time.monotonic()):
                return False
            more = True
            while more:
                room = EVIDENCE.waiting - self._verifier.waiting_bytes(path)
                found = folder.read(room, partial(self._verifier.put_files, path, removed=()))
                self._report(path, found.problems)
                if found.added or found.removed:
                    news = True
                    self._verifier.put_files(path, found.added, found.removed)
                self._durable.keep_paths(folder.take_changed())
                whole = found.whole and not found.more
                more = found.more and self._drained(path) and not self._stopping.is_set()
            if not whole and found.more and not self._stopping.is_set():
                line = f"{path}: more than {EVIDENCE.waiting} bytes wait to be verified"
                self._report(path, (*found.problems, f"{line}; the rest is read later"))
            return news
        finally:
            if path in self._pending and not fetched.more:
                self._clean &= whole and not fetched.problems
                self._pending.discard(path)
            self._drop_lost()

    def _report(self, path: Path | EvidenceMirror, problems: tuple[str, ...]) -> None:
        for problem in sorted({*problems} - {*self._problems.get(path, ())}):
            _LOG.warning("evidence: %s", problem)
        self._problems[path] = problems

    def _drained(self, path: Path) -> bool:
        """Wait until half of what may wait is verified; return whether that was worked off."""
        before, patience = self._verifier.waiting_bytes(path), DRAIN_SECONDS
        while before > EVIDENCE.waiting // 2 and patience > 0:
            if self._stopping.wait(_DRAIN_STEP):
                return False
            now = self._verifier.waiting_bytes(path)
            patience = DRAIN_SECONDS if now < before else patience - _DRAIN_STEP
            before = now
        return patience > 0

    def _drop_lost(self) -> None:
        """Drop what was verified before the start and is in no folder any more.

        Where a folder could not be read whole at the start, what is not found may still be there.
        """
        with self._lost:
            if self._dropped or any(isinstance(each, Path) for each in tuple(self._pending)):
                return
            self._dropped = True
        if self._clean:
            lost = (each for each in self._assembler.file_digests() if not self._kept(each))
            self._assembler.post_files((), tuple(lost))


def load_once(config: TrustConfig) -> tuple[TrustState, tuple[AuthorityStatus, ...]]:
    """Refresh everything once and return the state, for a command that needs no gate.

    Versions are kept like those of the long-running control path, with which it may share the
    state folder.

    Raises:
        TrustConfigError: The state folder cannot be made or used.
    """
    state, rejected, statuses = load_verified(config)
    return state.snapshot(1, rejected), statuses


def load_verified(
    config: TrustConfig,
) -> tuple[VerifiedState, tuple[Rejected, ...], tuple[AuthorityStatus, ...]]:
    """Do the same and return the state that ``advance`` can start from, and what is refused.

    Raises:
        TrustConfigError: The state folder cannot be made or used.
    """
    make_private(config)
    refreshers = tuple(AuthorityRefresher(a, config.state_dir) for a in config.authorities)
    views = [view for each in refreshers if (view := each.refresh()) is not None]
    for each in refreshers:
        sources.close(each.source)
    evidence: set[bytes] = set()
    for place in config.evidence:
        found = sources.read_evidence(place, config.state_dir)
        evidence |= found.files
        for problem in found.problems:
            _LOG.warning("evidence: %s", problem)
    state, rejected = verified(
        operator=config.operator,
        views=views,
        evidence=evidence,
        memory=durable_state.remembered(config.state_dir),
    )
    return state, rejected, tuple(each.status for each in refreshers)


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
