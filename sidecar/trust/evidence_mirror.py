"""Evidence that is published elsewhere: fetched into a folder of the gate's own, then read there.

Theory of operation. A ``RemoteEvidence`` lists what is published (``index.json``) and returns
single files by digest. ``EvidenceMirror.fetch`` brings the folder in line with the listing, for a
bounded time; the folder is then read as any other. So what was fetched outlives a restart and a
server that is gone, and a file is kept only once its bytes have the digest of its name. One process
fetches, under a lock; another beside it (a command, or the gate that takes over) reads what is
there.

Nothing is lost by a listing that cannot be had, is malformed or too large. A well-formed one takes
away what it does not list, which can only deny. One with a *lower* number may come from a cache
that lags behind: what it lists is added, and nothing is removed until it has been all there was for
``MirrorLimits.lag`` seconds. So a false number cannot shut out later listings for ever.
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sidecar.durable import locks
from sidecar.formats.evidence_index import INDEX_FILE, EvidenceIndex, file_name
from sidecar.trust.limits import EVIDENCE, REPOSITORY, EvidenceLimits
from sidecar.trust.source import SourceError, Trigger

_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class MirrorLimits:
    """How a mirror is filled.

    Attributes:
        slice: Seconds of fetching before what is there is handed on.
        lag: Seconds after which a listing with a lower number counts like any other.
        parallel: Files that are fetched at once.
        failures: Files that fail before the rest waits for the next reading; as many are reported.
    """

    slice: float = 2.0
    lag: float = 300.0
    parallel: int = 8
    failures: int = 8


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one slice came to.

    Attributes:
        problems: One line for each thing that failed.
        changed: Paths of files that were added or removed.
        more: Whether there is more, which the next slice fetches.
    """

    problems: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    more: bool = False


NOTHING = Fetched()


class RemoteEvidence(Protocol):
    """Published evidence: a listing, and files by digest; called from several threads at once."""

    def stop_with(self, stop: threading.Event) -> None:
        """End attempts soon after ``stop`` is set."""
        ...

    def index(self) -> EvidenceIndex | None:
        """Return the listing; None where it is the one returned before.

        Raises:
            SourceError: It cannot be had or is not well-formed.
        """
        ...

    def fetch(self, digest: str, size: int) -> bytes:
        """Return a file's bytes, not more than ``size``; what they are is not checked.

        Raises:
            SourceError: It cannot be had.
        """
        ...

    def wait(self, poll_seconds: float, stop: threading.Event) -> Trigger | None:
        """Wait for the next reading; returns None when ``stop`` is set."""
        ...

    def close(self) -> None:
        """Close connections; the next call makes others."""
        ...


class EvidenceMirror:
    """A folder that follows published evidence; for one thread at a time.

    Args:
        remote: What is published.
        folder: The gate's own; created if needed.
        limits: Of what is fetched; a listing beyond them is refused.
        bounds: See ``MirrorLimits``.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        remote: RemoteEvidence,
        folder: Path,
        limits: EvidenceLimits = EVIDENCE,
        bounds: MirrorLimits = MirrorLimits(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._remote = remote
        self._folder = folder
        self._limits = limits
        self._bounds = bounds
        self._clock = clock
        self._stop = threading.Event()
        self._have: set[str] | None = None
        self._index: EvidenceIndex | None = None
        self._refused = ""
        self._lagging: EvidenceIndex | None = None
        self._lagging_since = 0.0
        self._unfinished = False
        self._changed: list[Path] = []
        self._lock: int | None = None
        self.heard = False
        """Whether the last reading had a listing within the limits."""

    def fetch(self) -> Fetched:
        """Make the folder equal to the listing, as far as one slice of work goes."""
        self._unfinished = self.heard = False
        self._changed = []
        try:
            problems = self._synchronise()
        except SourceError as error:
            problems = [str(error)]
        except OSError as error:
            problems = [f"{self._folder}: {error.strerror}"]
        return Fetched(
            tuple(map(_one_line, problems)), tuple(map(str, self._changed)), self._unfinished
        )

    def fetch_once(self) -> tuple[str, ...]:
        """Fetch until everything is there or something failed, and close connections.

        Returns:
            What failed.
        """
        try:
            found = self.fetch()
            while found.more:
                found = self.fetch()
            return found.problems
        finally:
            self.close()

    @property
    def number(self) -> int | None:
        """Number of the newest listing; ``None`` before the first."""
        return None if self._index is None else self._index.number

    def sizes(self) -> Mapping[str, int]:
        """Return digest → size in bytes of the listed files that the folder holds."""
        listed = dict(self._lagging.files) if self._lagging is not None else {}
        listed |= dict(self._index.files) if self._index is not None else {}
        have = self._have or set()
        return {digest: size for digest, size in listed.items() if digest in have}

    def changes(self, poll_seconds: float, stop: threading.Event) -> Iterator[Trigger]:
        """Yield when there may be something to read; see ``source.Changes``."""
        self._stop = stop
        self._remote.stop_with(stop)
        try:
            trigger: Trigger | None = Trigger.START
            while trigger is not None:
                yield trigger
                if self._unfinished and not stop.is_set():
                    trigger = Trigger.CHANGE
                else:
                    trigger = self._remote.wait(poll_seconds, stop)
        finally:
            self.close()

    def close(self) -> None:
        """Close connections and let another process fetch; the next reading starts over."""
        self._remote.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _alone(self) -> bool:
        """Return whether this process is the one that fetches."""
        if self._lock is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = locks.take(self._folder / _LOCK)
            if lock is None:
                return False
            self._lock, self._have = lock, None
        return True

    def _synchronise(self) -> list[str]:
        """Remove what is not listed, fetch what is missing; return what failed."""
        if not self._alone():
            return []
        have = self._present()
        index = self._remote.index()
        if index is not None:
            self._refused = self._excess(index)
            if not self._refused:
                self._take(index)
        if self._refused:
            raise SourceError(f"{INDEX_FILE}: {self._refused}")
        self.heard = True
        if self._lagging is not None and self._clock() - self._lagging_since >= self._bounds.lag:
            self._index, self._lagging = self._lagging, None
        if self._index is None:
            return []
        listed = dict(self._index.files) | dict(self._lagging.files if self._lagging else {})
        for digest in have - listed.keys():
            path = self._folder / file_name(digest)
            path.unlink(missing_ok=True)
            self._changed.append(path)
            have.discard(digest)
        missing = {digest: listed[digest] for digest in listed.keys() - have}
        return self._fetch(missing, have) if missing else []

    def _take(self, index: EvidenceIndex) -> None:
        if self._index is None or index.number >= self._index.number:
            self._index, self._lagging = index, None
            return
        if self._lagging is None:
            self._lagging_since = self._clock()
        self._lagging = index

    def _excess(self, index: EvidenceIndex) -> str:
        """Return why a listing is refused; empty where it is within the limits."""
        files, limits = index.files, self._limits
        if any(size > limits.file for size in files.values()):
            return f"lists a file of more than {limits.file} bytes"
        if sum(files.values()) > limits.fetched:
            return f"lists more than {limits.fetched} bytes together"
        return ""

    def _present(self) -> set[str]:
        """Return the digests of the files that are in the folder, and remove anything else."""
        names = {path.name for path in self._folder.iterdir()} - {_LOCK}
        if self._have is None:
            self._have = set()
            for name in names:
                path = self._folder / name
                digest = path.stem
                if name == file_name(digest) and _digest(path.read_bytes()) == digest:
                    self._have.add(digest)
                else:
                    path.unlink()  # a fetch that was interrupted, or a damaged disk
        self._have = {digest for digest in self._have if file_name(digest) in names}
        return self._have

    def _fetch(self, missing: Mapping[str, int], have: set[str]) -> list[str]:
        """Fetch files for one slice, in no particular order; return what failed."""
        fetching = _Fetching(self._remote, self._folder, self._bounds, self._stop)
        fetching.waiting.extend(missing.items())
        random.shuffle(fetching.waiting)  # a file that always fails must not hold up the others
        workers = min(self._bounds.parallel, len(missing))
        with ThreadPoolExecutor(workers, "fetch-evidence") as pool:
            for each in [pool.submit(fetching.work, self._clock) for _ in range(workers)]:
                each.result()
        have.update(fetching.fetched)
        self._changed.extend(self._folder / file_name(digest) for digest in fetching.fetched)
        problems = sorted(fetching.problems)
        self._unfinished = bool(fetching.waiting) and not problems
        if fetching.waiting and problems:
            problems.append(f"{len(fetching.waiting)} files of evidence wait for the next reading")
        return problems


@dataclass(slots=True)
class _Fetching:
    """One slice of fetching, shared by its workers; its lists are changed by single operations."""

    remote: RemoteEvidence
    folder: Path
    bounds: MirrorLimits
    stop: threading.Event
    waiting: list[tuple[str, int]] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def work(self, clock: Callable[[], float]) -> None:
        """Fetch files until none waits, the slice ends, or too many failed."""
        until = clock() + self.bounds.slice
        while clock() < until and len(self.problems) < self.bounds.failures:
            if self.stop.is_set():
                return
            try:
                digest, size = self.waiting.pop()
            except IndexError:
                return
            try:
                self._keep(digest, self.remote.fetch(digest, size))
            except SourceError as error:
                self.problems.append(str(error))
            except OSError as error:
                self.problems.append(f"{self.folder}: {error.strerror}")
            else:
                self.fetched.append(digest)

    def _keep(self, digest: str, data: bytes) -> None:
        if _digest(data) != digest:
            raise SourceError(f"{file_name(digest)}: its bytes have another digest")
        draft = self.folder / f".{digest}.new"
        draft.write_bytes(data)
        draft.replace(self.folder / file_name(digest))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _one_line(text: str) -> str:
    """Shorten a text of which parts may come from a server: nothing may forge a log line."""
    line = "".join(c if c.isprintable() else "?" for c in text)
    return line[: REPOSITORY.message_characters]
