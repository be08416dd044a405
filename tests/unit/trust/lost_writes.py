"""What a power failure leaves of a folder: only what was synced, by the strictest reading.

A file has the bytes of its last fsync(2), none before the first; a folder has the entries that it
had when it was synced itself. ``early`` is the other order that file systems have: entries are
there at once, and the bytes of what was not synced are not.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class LostWrites:
    """Notes every sync below a folder.

    Attributes:
        after_sync: Called after each sync of something below the folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.after_sync: Callable[[], None] = lambda: None
        self._fsync = os.fsync
        self._data: dict[int, bytes] = {}
        self._entries: dict[Path, dict[str, int]] = {folder: {}}
        self._held: list[int] = []

    def fsync(self, descriptor: int) -> None:
        self._fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if not path.is_relative_to(self.folder):
            return
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self._entries[path] = {each.name: each.inode() for each in os.scandir(path)}
        else:
            self._data[status.st_ino] = path.read_bytes()
            self._held.append(os.dup(descriptor))  # its inode is not used again meanwhile
        self.after_sync()

    def leave(self, into: Path, *, early: bool = False) -> Path:
        """Write what a power failure leaves now into a new folder; return that."""
        self._leave(self.folder, into, early=early)
        return into

    def _leave(self, folder: Path, into: Path, *, early: bool) -> None:
        into.mkdir(mode=0o700)
        there = {each.name: each.inode() for each in os.scandir(folder)} if early else {}
        for name, inode in (there or self._entries.get(folder, {})).items():
            below = folder / name
            if below in self._entries or below.is_dir():
                self._leave(below, into / name, early=early)
            else:
                (into / name).write_bytes(self._data.get(inode, b""))

    def close(self) -> None:
        for each in self._held:
            os.close(each)


@contextmanager
def lost_writes(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[LostWrites]:
    """Note what is synced below a folder, which is empty, until the block ends."""
    made = LostWrites(folder)
    with patch.context() as inner:
        inner.setattr(os, "fsync", made.fsync)
        try:
            yield made
        finally:
            made.close()


def copied(folder: Path, into: Path) -> Path:
    shutil.copytree(folder, into)
    return into
