"""Evidence folders: every envelope below them, followed by what changed; verified elsewhere.

Theory of operation. A reading looks at the paths that file notification named, or walks through
everything: at the start, at a poll, and where a link was switched. A file is opened only where its
inode, size, modification or change time are not as they were, or where it changed so recently that
a further change could carry the same times. Bytes are handed over once and not kept. A walk that
finds more new bytes than there is room for goes on where it was, once there is room again.

An envelope is a ``*.json`` file; the plain statements and job records that ``admit bind`` may write
beside one, for other tools to check against, are passed over, and so is the listing of a published
folder. Links are followed as long as they stay below the folder: a mounted ConfigMap or Secret
consists of links through ``..data``, which is switched whole; names that begin with two dots are
reached through links only.

The folder may be writable by anyone, so no content of it is an error: what cannot be read is
reported and left out. Evidence that was *verified* before stays: a folder or a file that cannot be
read just now (``EMFILE``, ``EIO``) is not an empty one, and junk evicts nothing. Only a reading
that finds the file gone removes it.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sidecar.trust.folder_walk import FolderWalk
from sidecar.trust.limits import EVIDENCE, EvidenceLimits
from sidecar.trust.regular import NotRegularError, TooLargeError, read_with_status

_SETTLED_NS = 2_000_000_000
"""A file changed this recently is read again: its next change may carry the same time stamp."""
_UNSETTLED = (0, 0, 0, 0)
_HANDED_FILES = 4_096
"""New files that are handed over while more are read: enough to be verified on every core."""


class SeenFile(NamedTuple):
    """A file as it was read last.

    Attributes:
        stamp: Inode, size, modification and change time in ns; zeros where it was read too soon
            after a change.
        digest: Hex SHA-256 of its bytes.
        signatures: How many it seems to have: one, or more.
    """

    stamp: tuple[int, int, int, int]
    digest: str
    signatures: int


@dataclass(frozen=True, slots=True)
class FolderNews:
    """What a reading found.

    Attributes:
        added: Files of which the folder had no copy.
        removed: Digests of files of which it has no copy any more.
        problems: One line for each thing that cannot be read now, sorted.
        more: Whether files were left for the next reading, for lack of room.
        whole: Whether everything that is there was looked at.
    """

    added: tuple[bytes, ...] = ()
    removed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    more: bool = False
    whole: bool = True


class EvidenceFolder:
    """One folder that is read again and again.

    Args:
        folder: Where evidence is; need not exist.
        verified: Returns whether the file with a digest has been verified: it is kept while it
            cannot be read.
        limits: See ``EvidenceLimits``.
        seen: Path → file, as an earlier process saw it. What was verified then is not read again.
        stopping: Returns whether readings end early, since the gate ends.
    """

    def __init__(
        self,
        folder: Path,
        verified: Callable[[str], bool] = lambda _: False,
        limits: EvidenceLimits = EVIDENCE,
        seen: Mapping[str, SeenFile] | None = None,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._folder = folder
        self._verified = verified
        self._limits = limits
        self._stopping = stopping
        self._seen = dict(seen or {})
        self._copies = Counter(file.digest for file in self._seen.values())
        self._handed: set[str] = set()
        self._problems: dict[str, str] = {}
        self._noted: set[str] | None = None
        self._walk_at = 0.0
        self._halted: FolderWalk | None = None
        self._unread = False
        self.changed: dict[str, SeenFile | None] = {}
        """Path → file as it is now, or ``None``; grows until ``take_changed``."""

    def note(self, paths: Iterable[str]) -> None:
        """Note paths that were named as changed, for the next reading.

        A walk through everything that is due at once includes them.
        """
        if self._walk_at > 0 or self._halted is not None:
            self._noted = {*(self._noted or ()), *paths}

    def take_changed(self) -> dict[str, SeenFile | None]:
        """Return the paths whose file changed since the last call."""
        changed, self.changed = self.changed, {}
        return changed

    def has(self, digest: str) -> bool:
        """Return whether the folder has a file with that digest, as of the last reading."""
        return digest in self._copies

    def due(self, now: float) -> bool:
        """Return whether there is something to read: noted paths, or a walk that is due."""
        return self._noted is not None or now >= self._walk_at

    def read(
        self, room: int | None = None, hand: Callable[[tuple[bytes, ...]], None] | None = None
    ) -> FolderNews:
        """Read what changed; everything where no path was noted. An absent folder is empty.

        Args:
            room: Bytes of new files that are read at most, but for the first of them.
            hand: Takes new files while more are read, so that they are verified meanwhile. The
                last ones are returned.
        """
        began, noted = time.monotonic(), self._noted
        self._noted = None
        below = None if noted is None or self._unread else self._below(noted)
        reading = self._begin(noted, below, room)
        found: list[bytes] = []
        before = dict.fromkeys(self._copies)
        ended = self._look(reading, found, hand)
        reading.seconds += time.monotonic() - began
        if ended:
            for path in [*self._gone(reading, below)]:
                self._drop(path)
            self._unread = bool(reading.failed)
        self._problems |= reading.problems
        if below is None:
            self._halted = reading if reading.halts and not ended else None
            due = time.monotonic() + reading.seconds / self._limits.walking
            self._walk_at = 0.0 if reading.left else due
        else:
            if self._halted is not None:
                self._halted.visited |= reading.visited
            if reading.left:
                self._noted = {*below, *(self._noted or ())}
        return self._news(reading, before, found)

    def _begin(
        self, noted: set[str] | None, below: list[str] | None, room: int | None
    ) -> FolderWalk:
        """Return the reading of noted paths, the walk that was halted, or a new one.

        Without room a new one looks at everything that is known, where the halted one cannot go on.
        """
        halted = self._halted
        if noted is None and halted is not None and (room is None or room > 0):
            halted.room, halted.left = room, False
            return halted
        if below is None:
            self._problems = {}
            halts = room is None or room > 0
            return FolderWalk(self._folder, self._limits, room, (str(self._folder),), halts=halts)
        for path in below:
            self._problems.pop(path, None)
        return FolderWalk(self._folder, self._limits, room, tuple(below))

    def _look(
        self,
        reading: FolderWalk,
        found: list[bytes],
        hand: Callable[[tuple[bytes, ...]], None] | None,
    ) -> bool:
        """Look at file after file; return whether all were looked at, with room or without."""
        for each in reading.files:
            for data in self._take(reading, *each):
                if hand is not None and len(found) >= _HANDED_FILES:
                    hand(tuple(found))
                    found.clear()
                found.append(data)
            if (reading.left and reading.halts) or self._stopping():
                reading.left = True
                reading.files = itertools.chain((each,), reading.files)
                return False
        return True

    def _news(
        self, reading: FolderWalk, before: Mapping[str, None], found: list[bytes]
    ) -> FolderNews:
        removed = tuple(digest for digest in before if digest not in self._copies)
        self._handed.difference_update(removed)
        problems = tuple(f"{path}: {why}" for path, why in sorted(self._problems.items()))
        more = reading.left or self._halted is not None
        return FolderNews(tuple(found), removed, problems, more, not reading.failed)

    def _below(self, noted: set[str]) -> list[str] | None:
        """Return the noted paths; ``None`` where everything must be looked at."""
        top = str(self._folder)
        for path in noted:
            inside = path.removeprefix(top)
            if inside == path or not inside or "/.." in inside:
                return None
        return sorted(noted)

    def _take(
        self, reading: FolderWalk, path: str, resolved: str, status: os.stat_result | None
    ) -> Iterator[bytes]:
        """Look at one file; yield its bytes where the folder had no copy of them."""
        before = self._seen.get(path)
        if before is not None:
            if status is None:
                found = reading.resolved(path)
                if found is None:
                    reading.visited.discard(path)  # removed since its folder was listed
                    return
                resolved, status = found
            if before.stamp == _stamp(status) and self._known(before):
                return
        opened = self._open(reading, path, resolved) if reading.has_room() else None
        if opened is None:
            return
        data, status = opened
        settled = time.time_ns() - status.st_ctime_ns > _SETTLED_NS
        digest = hashlib.sha256(data).hexdigest()
        several = data.count(b'"sig"') > 1
        new = SeenFile(_stamp(status) if settled else _UNSETTLED, digest, 2 if several else 1)
        if new != before:
            self._copies[digest] += 1
            self._drop(path)
            self._seen[path] = self.changed[path] = new
        if digest not in self._handed:
            self._handed.add(digest)
            yield data

    def _open(
        self, reading: FolderWalk, path: str, resolved: str
    ) -> tuple[bytes, os.stat_result] | None:
        """Read one file; ``None`` where it cannot be, which is noted."""
        try:
            found = read_with_status(resolved, self._limits.file)
        except FileNotFoundError:
            reading.visited.discard(path)  # removed since its folder was listed
        except (NotRegularError, TooLargeError) as error:
            reading.refuse(path, str(error))
        except OSError as error:
            reading.fail(path, error.strerror or str(error))
        else:
            reading.fill(len(found[0]))
            return found
        return None

    def _known(self, file: SeenFile) -> bool:
        if file.digest in self._handed:
            return True
        return file.signatures == 1 and self._verified(file.digest)

    def _gone(self, reading: FolderWalk, starts: list[str] | None) -> Iterator[str]:
        """Yield the paths that a reading did not find, and that are not only unreadable."""
        candidates: Iterable[str] = self._seen
        if starts is not None:
            known = [path for path in starts if path in self._seen]
            below = tuple(f"{path}/" for path in starts if path not in self._seen)
            inside = (path for path in self._seen if below and path.startswith(below))
            candidates = [*known, *inside]
        for path in candidates:
            if path in reading.visited:
                continue
            if not (reading.unread(path) and self._verified(self._seen[path].digest)):
                yield path

    def _drop(self, path: str) -> None:
        before = self._seen.pop(path, None)
        if before is not None:
            self.changed[path] = None
            self._copies[before.digest] -= 1
            if self._copies[before.digest] == 0:
                del self._copies[before.digest]


def _stamp(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


@dataclass(frozen=True, slots=True)
class EvidenceFiles:
    """What one folder holds, read once.

    Attributes:
        files: The files' bytes.
        problems: One line for each thing that could not be read, sorted.
    """

    files: frozenset[bytes]
    problems: tuple[str, ...]


def read(folder: Path, limits: EvidenceLimits = EVIDENCE) -> EvidenceFiles:
    """Read a folder once."""
    news = EvidenceFolder(folder, limits=limits).read()
    return EvidenceFiles(frozenset(news.added), news.problems)
