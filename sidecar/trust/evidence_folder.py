"""Evidence folders: every envelope below them, as bytes, capped; verified elsewhere.

An envelope is a ``*.json`` file; the plain statements and job records that ``admit bind`` may
write beside one, for other tools to check against, are passed over.

Anybody may be able to put files here, so nothing that is found is an error: what cannot be read is
reported and left out. What was *verified* before does not go with it: a folder or a file that
cannot be read just now (``EMFILE``, ``EIO``, a full cap) is not an empty one, and junk evicts
nothing. Only a reading that finds the file gone takes it away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.trust.limits import EVIDENCE, EvidenceLimits
from sidecar.trust.regular import NotRegularError, TooLargeError, read_regular

_BLOBS = (".statement.json", ".artifact.json")
_SETTLED_NS = 2_000_000_000
"""A file changed this recently is read again: its next change may carry the same time stamp."""

_Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class EvidenceFiles:
    """What one folder holds.

    Attributes:
        files: The files' bytes.
        problems: One line for each thing that could not be read, sorted.
        whole: Whether everything that is there was looked at.
    """

    files: frozenset[bytes]
    problems: tuple[str, ...]
    whole: bool = field(default=True, compare=False)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file as it was read: its bytes, and the stamp that shows it unchanged, if any."""

    data: bytes
    stamp: _Stamp | None


class EvidenceFolder:
    """One folder that is read again and again; a file that did not change is not read again.

    Args:
        folder: Where evidence is; need not exist.
        verified: Returns whether a file's bytes have been verified: such a file is kept while it
            cannot be read.
        limits: See ``EvidenceLimits``.
    """

    def __init__(
        self,
        folder: Path,
        verified: Callable[[bytes], bool] = lambda _: False,
        limits: EvidenceLimits = EVIDENCE,
    ) -> None:
        self._folder = folder
        self._verified = verified
        self._limits = limits
        self._kept: dict[Path, _Kept] = {}

    def read(self) -> EvidenceFiles:
        """Read the folder and those below it. Links are not followed; an absent one is empty."""
        reading = _Reading(self._limits, self._kept)
        try:
            for entry in reading.walk(self._folder):
                reading.take(entry)
        except _TooMuchError as error:
            reading.fail(self._folder, f"{error}; the rest is left out")
        for path, kept in self._kept.items():
            if path not in reading.found and reading.unread(path) and self._verified(kept.data):
                reading.found[path] = kept
        self._kept = reading.found
        files = frozenset(kept.data for kept in self._kept.values())
        return EvidenceFiles(files, tuple(sorted(reading.problems)), not reading.failed)


def read(folder: Path, limits: EvidenceLimits = EVIDENCE) -> EvidenceFiles:
    """Read a folder once."""
    return EvidenceFolder(folder, limits=limits).read()


class _TooMuchError(Exception):
    """The folder holds more than is read."""


@dataclass(slots=True)
class _Reading:
    limits: EvidenceLimits
    before: dict[Path, _Kept]
    found: dict[Path, _Kept] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    failed: set[Path] = field(default_factory=set)
    entries: int = 0
    total: int = 0

    def fail(self, path: Path, why: str) -> None:
        """Note that ``path``, and what is below it, could not be read now."""
        self.problems.append(f"{path}: {why}")
        self.failed.add(path)

    def unread(self, path: Path) -> bool:
        """Return whether ``path`` may still exist: it, or a folder above it, could not be read."""
        return bool(self.failed) and not self.failed.isdisjoint((path, *path.parents))

    def walk(self, top: Path) -> Iterator[os.DirEntry[str]]:
        """Yield every envelope below ``top``; raises ``_TooMuchError`` when there are too many."""
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(folder) as found:
                    entries = list(self._counted(found))
            except FileNotFoundError:
                continue
            except OSError as error:
                self.fail(folder, str(error.strerror))
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.name.endswith(".json") and not entry.name.endswith(_BLOBS):
                    yield entry

    def _counted(self, found: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
        for entry in found:
            self.entries += 1
            if self.entries > self.limits.entries:
                raise _TooMuchError(f"more than {self.limits.entries} entries")
            yield entry

    def take(self, entry: os.DirEntry[str]) -> None:
        """Read one file; raises ``_TooMuchError`` when all together are too large."""
        path = Path(entry.path)
        if entry.is_symlink():
            self.problems.append(f"{path}: a link; links are not followed")
            return
        try:
            kept = self._read(entry, path)
        except FileNotFoundError:
            return  # removed since its folder was listed
        except (NotRegularError, TooLargeError) as error:
            self.problems.append(f"{path}: {error}")
            return
        except OSError as error:
            self.fail(path, error.strerror or str(error))
            return
        self.total += len(kept.data)
        if self.total > self.limits.total:
            raise _TooMuchError(f"more than {self.limits.total} bytes together")
        self.found[path] = kept

    def _read(self, entry: os.DirEntry[str], path: Path) -> _Kept:
        status = entry.stat(follow_symlinks=False)
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        before = self.before.get(path)
        if before is not None and before.stamp == stamp:
            return before
        settled = time.time_ns() - status.st_ctime_ns > _SETTLED_NS
        data = read_regular(path, self.limits.file)
        if before is not None and before.data == data:
            data = before.data  # one object, so that sets of files compare without comparing bytes
        return _Kept(data, stamp if settled else None)
