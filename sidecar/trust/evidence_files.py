"""Evidence folders: every envelope below them, as bytes, capped; its worth is judged later.

An envelope is a ``*.json`` file; the plain statements and job records that ``admit bind`` may
write beside one, for other tools to check against, are passed over.

Anybody may be able to put files here, so nothing that is found is an error: what cannot be read is
reported and left out, which can only deny.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.trust.limits import EVIDENCE, EvidenceLimits
from sidecar.trust.regular import NotRegularError, TooLargeError, read_regular

_BLOBS = (".statement.json", ".artifact.json")


@dataclass(frozen=True, slots=True)
class EvidenceFiles:
    """What one folder holds.

    Attributes:
        files: The files' bytes.
        problems: One line for each thing that was left out, sorted.
    """

    files: frozenset[bytes]
    problems: tuple[str, ...]


class _TooMuchError(Exception):
    """The folder holds more than is read."""


def read(folder: Path, limits: EvidenceLimits = EVIDENCE) -> EvidenceFiles:
    """Read a folder and those below it. Links are not followed; an absent folder is empty."""
    reading = _Reading(limits)
    try:
        for path in reading.walk(folder):
            reading.take(path)
    except _TooMuchError as error:
        reading.problems.append(f"{folder}: {error}; the rest is left out")
    return EvidenceFiles(frozenset(reading.files), tuple(sorted(reading.problems)))


@dataclass(slots=True)
class _Reading:
    limits: EvidenceLimits
    files: set[bytes] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    entries: int = 0
    total: int = 0

    def walk(self, top: Path) -> Iterator[Path]:
        """Name every envelope below ``top``; raises ``_TooMuchError`` when there are too many."""
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(folder) as found:
                    entries = list(self._counted(found))
            except FileNotFoundError:
                continue
            except OSError as error:
                self.problems.append(f"{folder}: {error.strerror}")
                continue
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.name.endswith(".json") and not entry.name.endswith(_BLOBS):
                    yield Path(entry.path)

    def _counted(self, found: Iterator[os.DirEntry[str]]) -> Iterator[os.DirEntry[str]]:
        for entry in found:
            self.entries += 1
            if self.entries > self.limits.entries:
                raise _TooMuchError(f"more than {self.limits.entries} entries")
            yield entry

    def take(self, path: Path) -> None:
        """Read one file; raises ``_TooMuchError`` when all together are too large."""
        if path.is_symlink():
            self.problems.append(f"{path}: a link; links are not followed")
            return
        try:
            data = read_regular(path, self.limits.file)
        except FileNotFoundError:
            return  # removed since its folder was listed
        except (NotRegularError, TooLargeError, OSError) as error:
            self.problems.append(f"{path}: {getattr(error, 'strerror', None) or error}")
            return
        self.total += len(data)
        if self.total > self.limits.total:
            raise _TooMuchError(f"more than {self.limits.total} bytes together")
        self.files.add(data)
