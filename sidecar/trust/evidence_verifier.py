"""Verifies the evidence of all folders in a thread of its own, behind the documents.

Theory of operation. The followers of folders and authorities only hand over files and keys
(``put_files``, ``put_keys``) and return at once; a repository's news never waits for a signature to
be tried. The thread works on the folders in turn, one slice each, so a flooded folder does not
delay another's evidence. Verified files are posted when all folders are worked off, and meanwhile
every ``post_seconds``.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from sidecar.core.keys import PublicKey
from sidecar.core.snapshot import Rejected
from sidecar.core.verification import VerifiedFile
from sidecar.trust.evidence_queue import EvidenceQueue
from sidecar.trust.limits import VERIFICATION, VerificationLimits
from sidecar.trust.signature_pool import SignaturePool

_LOG = logging.getLogger("sidecar.trust")

RETRY_SECONDS = 1.0
_WAITING_SECONDS = 0.2
_REPORT_SECONDS = 5.0
_PROGRESS_SECONDS = 5.0
_OBJECTS, _OBJECTS_OF_A_LOAD = 50_000, 1_000_000
"""New objects before the process looks for cycles, also while very many files are new. What a load
makes stays or has no cycles: looks in vain took a sixth of the writer's time (20 µs a file)."""
_POST_SHARE = 4.0
"""How much longer than a step takes the next one is waited for, while there is more to verify."""


@dataclass(frozen=True, slots=True)
class EvidenceReport:
    """Return what became of the evidence so far.

    Attributes:
        verified: Files with a verified signature.
        rejected: Files that were refused.
        waiting: Files of unknown signers that wait for their folder's budget.
    """

    verified: int = 0
    rejected: tuple[Rejected, ...] = ()
    waiting: int = 0


class EvidenceVerifier:
    """A thread that verifies what it is handed.

    Args:
        post: Called with the verified files that are new or count for more, and the digests of
            those that are gone, from this thread. What it raises is logged, and it is called again.
        limits: See ``VerificationLimits``.
        find: See ``EvidenceQueue``.
        kept: Returns whether some folder has the file with a digest.
    """

    def __init__(
        self,
        post: Callable[[tuple[VerifiedFile, ...], tuple[str, ...]], None],
        limits: VerificationLimits = VERIFICATION,
        find: Callable[[str], VerifiedFile | None] = lambda _: None,
        kept: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._post = post
        self._find = find
        self._kept = kept
        self._limits = limits
        self._pool = SignaturePool()
        self._queues: dict[Path, EvidenceQueue] = {}
        self._lock = threading.Condition()
        self._news: list[tuple[Path, tuple[bytes, ...], tuple[str, ...]]] = []
        self._new_keys: frozenset[PublicKey] | None = None
        self._keys: frozenset[PublicKey] = frozenset()
        self._changed: dict[str, VerifiedFile | None] = {}
        self._settled = True
        self._stopping = False
        self._reported = 0.0
        self._began = self._logged_at = time.monotonic()
        self._report = EvidenceReport()
        self._thread = threading.Thread(target=self._run, name="verify-evidence", daemon=False)

    def start(self) -> None:
        """Start the thread; returns at once."""
        _look_for_cycles(_OBJECTS)
        self._thread.start()

    def request_stop(self) -> None:
        """Ask the thread to end after the slice it is in."""
        with self._lock:
            self._stopping = True
            self._lock.notify()

    def join(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for the thread; returns whether it ended."""
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def put_files(self, folder: Path, added: tuple[bytes, ...], removed: tuple[str, ...]) -> None:
        """Hand over the files that are new in a folder, and the digests of those gone from it."""
        with self._lock:
            self._news.append((folder, added, removed))
            self._settled = False
            self._lock.notify()

    def put_keys(self, keys: Iterable[PublicKey]) -> None:
        """Hand over the attestation keys of all authorities."""
        found = frozenset(keys)
        with self._lock:
            if found != (self._keys if self._new_keys is None else self._new_keys):
                self._new_keys = found
                self._settled = False
                self._lock.notify()

    def settled(self) -> bool:
        """Return whether all that was handed over is verified and posted, or waits for a budget."""
        with self._lock:
            return self._settled

    def report(self) -> EvidenceReport:
        """Return what became of the evidence, as of the last post."""
        with self._lock:
            return self._report

    def holds_verified(self, folder: Path, digest: str) -> bool:
        """Return whether the file with that digest, in ``folder``, has a verified signature."""
        queue = self._queues.get(folder)
        return queue is not None and queue.holds_verified(digest)

    def waiting_bytes(self, folder: Path) -> int:
        """Return the bytes of the files of a folder that are not verified yet."""
        queue = self._queues.get(folder)
        with self._lock:
            handed = [added for path, added, _ in self._news if path == folder]
        held = 0 if queue is None else queue.waiting_bytes()
        return held + sum(len(data) for added in handed for data in added)

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._pool.rest()
            _look_for_cycles(_OBJECTS)

    def _work(self) -> None:
        posted, pause = time.monotonic(), self._limits.post_seconds
        while self._take():
            now = time.monotonic()
            many = any(queue.many() for queue in self._queues.values())
            _look_for_cycles(_OBJECTS_OF_A_LOAD if many else _OBJECTS)
            for folder, queue in self._queues.items():
                try:
                    queue.work(now)
                except Exception:  # noqa: BLE001 - one folder must not end what verifies all others
                    _LOG.exception("evidence: %s: unexpected error", folder)
                    self._wait_to_retry()
            idle = all(queue.idle() for queue in self._queues.values())
            news = sum(queue.untaken() for queue in self._queues.values())
            if idle or news >= self._limits.post_files or now - posted >= pause:
                began = time.monotonic()
                self._finish(idle=idle)
                posted = time.monotonic()
                # A first load spends its time on verifying, not on steps that are replaced at once.
                pause = max(self._limits.post_seconds, _POST_SHARE * (posted - began))
            self._progress(idle=idle)
            if idle:
                self._pool.rest()
            # Lets a thread that waits for the interpreter go first.
            time.sleep(0)

    def _wait_to_retry(self) -> None:
        with self._lock:
            self._lock.wait_for(lambda: self._stopping, RETRY_SECONDS)

    def _progress(self, *, idle: bool) -> None:
        """Log how far a long verification has come, and its end."""
        now, queues = time.monotonic(), self._queues.values()
        if idle:
            if self._logged_at > self._began:
                _LOG.info("evidence: all %d files are verified", self._report.verified)
            self._began = self._logged_at = now
        elif now - self._logged_at >= _PROGRESS_SECONDS:
            self._logged_at = now
            verified = sum(queue.verified() for queue in queues)
            left = sum(queue.left() for queue in queues)
            _LOG.info("evidence: %d files verified, %d left", verified, left)

    def _take(self) -> bool:
        """Take what was handed over, waiting while there is nothing to do; False at the end."""
        with self._lock:
            while not (self._stopping or self._news or self._new_keys is not None):
                if not all(queue.idle() for queue in self._queues.values()):
                    break
                waiting = any(queue.waiting() for queue in self._queues.values())
                if waiting or self._changed:
                    self._lock.wait(RETRY_SECONDS if self._changed else _WAITING_SECONDS)
                    break
                self._lock.wait()
            news, self._news = self._news, []
            keys, self._new_keys = self._new_keys, None
        for folder, added, removed in news:
            if folder not in self._queues:
                queue = EvidenceQueue(self._limits, self._find, self._pool)
                queue.replace_keys(self._keys)
                self._queues = {**self._queues, folder: queue}
            self._queues[folder].change(added, removed)
        if keys is not None:
            self._keys = keys
            for queue in self._queues.values():
                queue.replace_keys(keys)
        return not self._stopping

    def _collect(self, queues: tuple[EvidenceQueue, ...]) -> None:
        """Add what changed in the folders; a file is gone when no folder has it any more."""
        for queue in queues:
            for digest, file in queue.take_changes().items():
                held = any(each.holds_verified(digest) for each in queues)
                if file is None and (held or self._kept(digest)):
                    continue
                self._changed[digest] = file

    def _finish(self, *, idle: bool) -> None:
        """Post what changed, and report."""
        queues = tuple(self._queues.values())
        self._collect(queues)
        if self._changed:
            added = tuple(file for file in self._changed.values() if file is not None)
            removed = tuple(digest for digest, file in self._changed.items() if file is None)
            try:
                self._post(added, removed)
            except Exception:  # noqa: BLE001 - nobody has it yet: the next round tries again
                _LOG.exception("evidence: a trust state could not be made")
                return
            self._changed = {}
        waiting = sum(queue.waiting() for queue in queues)
        now = time.monotonic()
        if waiting and self._settled and now - self._reported < _REPORT_SECONDS:
            return  # junk must not cost a pass over everything for each of its slices
        self._reported = now
        rejected = tuple(item for queue in queues for item in queue.rejected())
        verified = sum(queue.verified() for queue in queues)
        report = EvidenceReport(verified, rejected, waiting)
        with self._lock:
            self._report = report
            if idle and not self._news and self._new_keys is None:
                self._settled = True


def _look_for_cycles(objects: int) -> None:
    """Set after how many new objects Python searches for cycles."""
    if gc.get_threshold()[0] != objects:
        gc.set_threshold(objects, *gc.get_threshold()[1:])
