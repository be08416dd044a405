"""Walks through a folder of evidence, or looks at some paths of it; see ``evidence_folder``."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.formats.evidence_index import INDEX_FILE
from sidecar.trust.limits import EvidenceLimits

_BLOBS = (".statement.json", ".artifact.json")
_LISTING = f"/{INDEX_FILE}"
_NO_FOLDER = "there is no such folder"
_LINK = "a link that leads nowhere or out of the folder; put a copy here"


@dataclass(slots=True)
class FolderWalk:
    """One walk: what was visited, what could not be read, and the room that is left.

    Attributes:
        starts: Paths at or below which it looks.
        halts: Whether it ends where there is no room, to go on there later.
        files: Every envelope that was not looked at yet: its path, where links lead, its status;
            ``None`` for a regular file, of which the folder's listing has the type alone.
        left: Whether a file was left for lack of room.
        seconds: How long it took so far.
    """

    folder: Path
    limits: EvidenceLimits
    room: int | None
    starts: tuple[str, ...]
    halts: bool = False
    files: Iterator[tuple[str, str, os.stat_result | None]] = field(init=False)
    seconds: float = 0.0
    visited: set[str] = field(default_factory=set)
    problems: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    left: bool = False
    root: str = ""

    def __post_init__(self) -> None:
        self.files = self._walk()

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

    def has_room(self) -> bool:
        """Return whether one more file is read now; the first one always is."""
        if self.room is not None and self.room <= 0:
            self.left = True
            return False
        return True

    def fill(self, size: int) -> None:
        """Count the bytes of a file that was read."""
        if self.room is not None:
            self.room -= size

    def _walk(self) -> Iterator[tuple[str, str, os.stat_result | None]]:
        self.root = os.path.realpath(self.folder)
        waiting, walked = [*self.starts], set[tuple[int, int]]()
        while waiting:
            path = waiting.pop()
            for place, regular in self._entries(path, walked):
                if regular:
                    if _is_envelope(place):
                        self.visited.add(place)
                        yield place, place, None
                    continue
                found = self.resolved(place)
                if found is None:
                    continue
                resolved, status = found
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(place)
                elif _is_envelope(place):
                    self.visited.add(place)
                    yield place, resolved, status

    def _entries(self, path: str, walked: set[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
        """Yield what is in a folder that was not walked yet, or the file itself.

        Of each the path, and whether it is known to be a regular file without a look at it.
        """
        try:
            status = os.lstat(os.path.realpath(path))
            if (status.st_dev, status.st_ino) in walked:
                return  # links in a circle
            with os.scandir(path) as found:
                walked.add((status.st_dev, status.st_ino))
                entries = sorted(
                    (entry.name, entry.is_file(follow_symlinks=False))
                    for entry in found
                    if not entry.name.startswith("..")
                )
            yield from [(f"{path}/{name}", regular) for name, regular in entries]
        except NotADirectoryError as error:
            if path == str(self.folder):
                self.fail(path, str(error.strerror))
            else:
                yield path, False
        except FileNotFoundError:
            self._missing(path)
        except OSError as error:
            self.fail(path, str(error.strerror))

    def resolved(self, path: str) -> tuple[str, os.stat_result] | None:
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
        """Name a link that leads nowhere, and the folder; another that is gone is no problem."""
        if path == str(self.folder):
            self.refuse(path, _NO_FOLDER)
        with suppress(OSError):
            if stat.S_ISLNK(os.lstat(path).st_mode) and _is_envelope(path):
                self.refuse(path, _LINK)


def _is_envelope(path: str) -> bool:
    return path.endswith(".json") and not path.endswith((*_BLOBS, _LISTING))
