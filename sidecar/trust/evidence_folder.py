"""Evidence folders: every envelope below them, followed by what changed; verified elsewhere.

Theory of operation. A reading looks at the paths that file notification named, or walks through
everything: at the start, at a poll, and where a link was switched. A file is opened only where its
inode, size, modification or change time are not as they were, or where it changed so recently that
a further change could carry the same times. Bytes are handed over once and not kept.

An envelope is a ``*.json`` file; the plain statements and job records that ``admit bind`` may write
beside one, for other tools to check against, are passed over, and so is the listing of a published
folder. Links are followed as long as they
stay below the folder: a mounted ConfigMap or Secret consists of links through ``..data``, which is
switched whole; names that begin with two dots are reached through links only.

Anybody may be able to put files here, so nothing that is found is an error: what cannot be read is
reported and left out. What was *verified* before does not go with it: a folder or a file that
cannot be read just now (``EMFILE``, ``EIO``) is not an empty one, and junk evicts nothing. Only a
reading that finds the file gone takes it away.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from sidecar.formats.evidence_index import INDEX_FILE
from sidecar.trust.limits import EVIDENCE, EvidenceLimits
from sidecar.trust.regular import NotRegularError, TooLargeError, read_regular

_BLOBS = (".statement.json", ".artifact.json")
_LISTING = f"/{INDEX_FILE}"
_SETTLED_NS = 2_000_000_000
"""A file changed this recently is read again: its next change may carry the same time stamp."""
_UNSETTLED = (0, 0, 0, 0)
_HANDED_FILES = 4_096
"""New files that are handed over while more are read: enough to be verified on every core."""
_LINK = "a link that leads nowhere or out of the folder; put a copy here"


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
    """

    def __init__(
        self,
        folder: Path,
        verified: Callable[[str], bool] = lambda _: False,
        limits: EvidenceLimits = EVIDENCE,
        seen: Mapping[str, SeenFile] | None = None,
    ) -> None:
        self._folder = folder
        self._verified = verified
        self._limits = limits
        self._seen = dict(seen or {})
        self._copies = Counter(file.digest for file in self._seen.values())
        self._handed: set[str] = set()
        self._problems: dict[str, str] = {}
        self._noted: set[str] | None = None
        self._walk_at = 0.0
        self._unread = False
        self.changed: dict[str, SeenFile | None] = {}
        """Path → file as it is now, or ``None``; grows until ``take_changed``."""

    def note(self, paths: Iterable[str]) -> None:
        """Note paths that were named as changed, for the next reading.

        A walk through everything that is due at once includes them.
        """
        if self._walk_at > 0:
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
        reading = _Reading(self._folder, self._limits, room)
        below = None if noted is None or self._unread else self._below(noted)
        if below is None:
            self._problems = {}
            starts = [str(self._folder)]
        else:
            starts = below
            for path in starts:
                self._problems.pop(path, None)
        found: list[bytes] = []
        before = dict.fromkeys(self._copies)
        for path, resolved, status in reading.files(starts):
            for data in self._take(reading, path, resolved, status):
                if hand is not None and len(found) >= _HANDED_FILES:
                    hand(tuple(found))
                    found.clear()
                found.append(data)
        for path in [*self._gone(reading, None if below is None else starts)]:
            self._drop(path)
        self._problems |= reading.problems
        self._unread = bool(reading.failed)
        if below is None:
            now = time.monotonic()
            self._walk_at = 0.0 if reading.left else now + (now - began) / self._limits.walking
        elif reading.left:
            self._noted = {*starts, *(self._noted or ())}
        return self._news(reading, before, found)

    def _news(
        self, reading: _Reading, before: Mapping[str, None], found: list[bytes]
    ) -> FolderNews:
        removed = tuple(digest for digest in before if digest not in self._copies)
        self._handed.difference_update(removed)
        problems = tuple(f"{path}: {why}" for path, why in sorted(self._problems.items()))
        return FolderNews(tuple(found), removed, problems, reading.left, not reading.failed)

    def _below(self, noted: set[str]) -> list[str] | None:
        """Return the noted paths; ``None`` where everything must be looked at."""
        top = str(self._folder)
        for path in noted:
            inside = path.removeprefix(top)
            if inside == path or not inside or "/.." in inside:
                return None
        return sorted(noted)

    def _take(
        self, reading: _Reading, path: str, resolved: str, status: os.stat_result
    ) -> Iterator[bytes]:
        """Look at one file; yield its bytes where the folder had no copy of them."""
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        before = self._seen.get(path)
        if before is not None and before.stamp == stamp and self._known(before):
            return
        if not reading.has_room(status.st_size):
            return
        try:
            data = read_regular(resolved, self._limits.file)
        except FileNotFoundError:
            reading.visited.discard(path)  # removed since its folder was listed
            return
        except (NotRegularError, TooLargeError) as error:
            reading.refuse(path, str(error))
            return
        except OSError as error:
            reading.fail(path, error.strerror or str(error))
            return
        settled = time.time_ns() - status.st_ctime_ns > _SETTLED_NS
        digest = hashlib.sha256(data).hexdigest()
        several = data.count(b'"sig"') > 1
        new = SeenFile(stamp if settled else _UNSETTLED, digest, 2 if several else 1)
        if new != before:
            self._copies[digest] += 1
            self._drop(path)
            self._seen[path] = self.changed[path] = new
        if digest not in self._handed:
            self._handed.add(digest)
            yield data

    def _known(self, file: SeenFile) -> bool:
        if file.digest in self._handed:
            return True
        return file.signatures == 1 and self._verified(file.digest)

    def _gone(self, reading: _Reading, starts: list[str] | None) -> Iterator[str]:
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


@dataclass(slots=True)
class _Reading:
    """One walk: what was visited, what could not be read, and the room that is left."""

    folder: Path
    limits: EvidenceLimits
    room: int | None
    visited: set[str] = field(default_factory=set)
    problems: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    left: bool = False
    root: str = ""

    def refuse(self, path: str, why: str) -> None:
        """Note that ``path`` is left out, whatever it was before."""
        self.problems[path] = why
        self.visited.discard(path)

    def fail(self, path: str, why: str) -> None:
        """Note that ``path``, and what is below it, could not be read now."""
        self.refuse(path, why)
        self.failed.add(path)

    def unread(self, path: str) -> bool:
        """Return whether ``path`` may still exist: it, or a folder above, could not be read."""
        above = (path, *map(str, Path(path).parents))
        return bool(self.failed) and not self.failed.isdisjoint(above)

    def has_room(self, size: int) -> bool:
        """Return whether a file of that size is read now; the first one always is."""
        if self.room is None:
            return True
        if self.room <= 0:
            self.left = True
            return False
        self.room -= size
        return True

    def files(self, starts: Iterable[str]) -> Iterator[tuple[str, str, os.stat_result]]:
        """Yield every envelope at or below ``starts``: its path, where links lead, its status."""
        self.root = os.path.realpath(self.folder)
        waiting, walked = [*starts], set[tuple[int, int]]()
        while waiting:
            path = waiting.pop()
            for place in self._entries(path, walked):
                found = self._resolved(place)
                if found is None:
                    continue
                resolved, status = found
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(place)
                elif _is_envelope(place):
                    self.visited.add(place)
                    yield place, resolved, status

    def _entries(self, path: str, walked: set[tuple[int, int]]) -> Iterator[str]:
        """Yield what is in a folder that was not walked yet, or the file itself."""
        try:
            status = os.lstat(os.path.realpath(path))
            if (status.st_dev, status.st_ino) in walked:
                return  # links in a circle
            with os.scandir(path) as found:
                walked.add((status.st_dev, status.st_ino))
                names = sorted(entry.name for entry in found if not entry.name.startswith(".."))
                yield from [f"{path}/{name}" for name in names]
        except NotADirectoryError as error:
            if path == str(self.folder):
                self.fail(path, str(error.strerror))
            else:
                yield path
        except FileNotFoundError:
            self._missing(path)
        except OSError as error:
            self.fail(path, str(error.strerror))

    def _resolved(self, path: str) -> tuple[str, os.stat_result] | None:
        """Return where a path leads and its status; ``None`` where it is left out."""
        try:
            status = os.lstat(path)
            if not stat.S_ISLNK(status.st_mode):
                return path, status
            resolved = os.path.realpath(path, strict=True)
            status = os.lstat(resolved)
            if not (_is_envelope(path) or stat.S_ISDIR(status.st_mode)):
                return None
            if resolved.startswith(f"{self.root}/"):
                return resolved, status
            self.refuse(path, _LINK)
        except FileNotFoundError:
            self._missing(path)
        except OSError as error:
            self.fail(path, str(error.strerror))
        return None

    def _missing(self, path: str) -> None:
        """Name a link that leads nowhere; a file that is gone is no problem."""
        with suppress(OSError):
            if stat.S_ISLNK(os.lstat(path).st_mode) and _is_envelope(path):
                self.refuse(path, _LINK)


def _is_envelope(path: str) -> bool:
    return path.endswith(".json") and not path.endswith((*_BLOBS, _LISTING))
