"""Follows the sources of evidence: reads what is new and hands it to the verifier.

Theory of operation. Every source has a follower (a thread) of its own, which only reads. What it
finds is verified by one further thread (``evidence_verifier``), behind the documents: a withdrawal
never waits for evidence, however much of it there is. Of a folder from which more is read than may
wait, the rest is read when half of that is verified.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sidecar.trust.assembler import Assembler
from sidecar.trust.directory_source import FolderChanges
from sidecar.trust.durable_state import DurableState
from sidecar.trust.evidence_folder import EvidenceFolder, SeenFile
from sidecar.trust.evidence_mirror import NOTHING, EvidenceMirror
from sidecar.trust.evidence_verifier import EvidenceReport, EvidenceVerifier
from sidecar.trust.follower import Follower
from sidecar.trust.limits import EVIDENCE
from sidecar.trust.sources import OpenEvidence

_LOG = logging.getLogger("sidecar.trust")

DRAIN_SECONDS = 5.0
"""How long a folder's reading waits for verification that makes no progress."""
_DRAIN_STEP = 0.02
HUNG_SECONDS = 120.0
"""How long a source may be read, part by part, before that is a problem."""
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


class EvidenceFollowing:
    """The sources of evidence, their followers, and the verifier that they share.

    Args:
        opened: The sources, in the order of the configuration.
        durable: Keeps what was seen of their folders.
        assembler: Takes what is verified.
        poll_seconds: As of ``Follower``.

    Attributes:
        verifier: The verifier; its keys are put by whoever refreshes authorities.
        followers: One for each source.
    """

    def __init__(
        self,
        opened: tuple[OpenEvidence, ...],
        durable: DurableState,
        assembler: Assembler,
        poll_seconds: float,
    ) -> None:
        self._durable = durable
        self._assembler = assembler
        self.verifier = EvidenceVerifier(
            assembler.post_files, find=assembler.file, kept=self._is_kept
        )
        self._pending = {each.folder for each in opened}
        self._own_folders = [each.folder for each in opened if each.mirror is None]
        self._waited_since: float | None = None
        self._late = False
        self._problems: dict[Path | EvidenceMirror, tuple[str, ...]] = {}
        self._reading: dict[Path, float] = {}
        self._stopping = threading.Event()
        self._lost, self._dropped, self._clean = threading.Lock(), False, True
        self._folders = self._open_folders(opened, durable.paths())
        self.followers = tuple(
            Follower(
                each.name,
                each.mirror or FolderChanges(each.folder, note=self._folders[each.folder].note),
                poll_seconds,
                partial(self._read, each, self._folders[each.folder]),
            )
            for each in opened
        )

    def start(self) -> None:
        """Start the verifier, before the followers; names folders that are not there."""
        for folder in self._own_folders:
            if not folder.is_dir():
                _LOG.warning("evidence: %s: there is no such folder yet", folder)
        self.verifier.start()

    def stop_reading(self) -> None:
        """Let every reading end early, before the followers are stopped."""
        self._stopping.set()

    def first_read_done(self) -> bool:
        """Return whether everything found by the first readings is verified, or took too long.

        It is waited for ``EVIDENCE_SECONDS`` at most, from the first call on: a folder that hangs
        or is flooded can make the gate deny, and must not keep it from becoming ready.
        """
        if not self._pending and self.verifier.settled():
            return True
        if self._waited_since is None:
            self._waited_since = time.monotonic()
        late = time.monotonic() - self._waited_since >= EVIDENCE_SECONDS
        if late and not self._late:
            self._late = True
            _LOG.warning("evidence is not verified yet; what rests on the rest is denied meanwhile")
        return late

    def status(self) -> EvidenceStatus:
        """Return what was verified and refused, and what could not be read or kept."""
        problems = tuple(line for lines in tuple(self._problems.values()) for line in lines)
        problems += tuple(filter(None, tuple(self._durable.problems.values())))
        problems += tuple(self._hanging())
        return EvidenceStatus(self.verifier.report(), problems)

    def _hanging(self) -> Iterator[str]:
        """Yield a line for each source of which a reading does not return."""
        now = time.monotonic()
        for path, began in tuple(self._reading.items()):
            if now - began >= HUNG_SECONDS:
                yield (
                    f"{path}: has been read for {now - began:.0f} s: it is large, or its file"
                    " system or server hangs"
                )

    @contextmanager
    def _timed(self, path: Path) -> Iterator[None]:
        """Note that a source is being read."""
        self._reading[path] = time.monotonic()
        try:
            yield
        finally:
            self._reading.pop(path, None)

    def _open_folders(
        self, opened: Iterable[OpenEvidence], seen: Mapping[str, SeenFile]
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
        return self.verifier.holds_verified(path, digest) or self._assembler.has_file(digest)

    def _is_kept(self, digest: str) -> bool:
        return any(folder.has(digest) for folder in self._folders.values())

    def _read(self, source: OpenEvidence, folder: EvidenceFolder) -> bool:
        """Read a source once, as its follower's ``work``; return whether it has new content."""
        path, whole, news, fetched = source.folder, False, False, NOTHING
        try:
            if source.mirror is not None:
                with self._timed(path):
                    fetched = source.mirror.fetch()
                if fetched.changed:
                    folder.note(fetched.changed)
                self._report(source.mirror, fetched.problems)
            if not folder.due(time.monotonic()):
                return False
            more = True
            while more:
                room = EVIDENCE.waiting - self.verifier.waiting_bytes(path)
                put = partial(self.verifier.put_files, path, removed=())
                with self._timed(path):
                    found = folder.read(room, put)
                self._report(path, found.problems)
                if found.added or found.removed:
                    news = True
                    self.verifier.put_files(path, found.added, found.removed)
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
        before, patience = self.verifier.waiting_bytes(path), DRAIN_SECONDS
        while before > EVIDENCE.waiting // 2 and patience > 0:
            if self._stopping.wait(_DRAIN_STEP):
                return False
            now = self.verifier.waiting_bytes(path)
            patience = DRAIN_SECONDS if now < before else patience - _DRAIN_STEP
            before = now
        return patience > 0

    def _drop_lost(self) -> None:
        """Drop what was verified before the start and is in no folder any more.

        Where a folder could not be read whole at the start, what is not found may still be there.
        """
        with self._lost:
            if self._dropped or self._pending:
                return
            self._dropped = True
        if self._clean:
            lost = (each for each in self._assembler.file_digests() if not self._is_kept(each))
            self._assembler.post_files((), tuple(lost))
