"""Appends whole lines to a file that others may rename, remove, fill up or share.

A file is opened by its path again as soon as the path leads elsewhere, so that a rotation by rename
(logrotate's default) needs no signal. Several processes may append to one file: each append holds
a lock, and what a full disk cut is cut off under it, so that no line is ever merged with another.
"""

from __future__ import annotations

import fcntl
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

STDOUT = "-"
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK


class TornLineError(OSError):
    """A pipe took a part of the data; ``taken`` bytes of it cannot be taken back."""

    def __init__(self, taken: int, cause: OSError) -> None:
        super().__init__(cause.errno, cause.strerror)
        self.taken = taken


class AppendFile:
    """A file, or standard output, to which whole lines are appended. Nothing blocks.

    Args:
        path: A file to append to, created with mode 0600; ``-`` for standard output.
        write: Writes to a file descriptor, like ``os.write``.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: str, write: Callable[[int, bytes], int] = os.write) -> None:
        self._path = None if path == STDOUT else Path(path)
        self._write = write
        self._file, self._regular = self._open()

    def append(self, data: bytes) -> None:
        """Append whole lines, all or none of them where the file is a regular one.

        Raises:
            BlockingIOError: Another process appends, or a pipe is full; nothing was written.
            TornLineError: A pipe took only a part.
            OSError: Nothing was written, such as with a full disk.
        """
        if self._moved():
            self._reopen()
        self._append(data)
        if self._path is not None and os.fstat(self._file).st_nlink == 0:
            # Removed meanwhile: the lines are nowhere. Renamed, they are in the renamed file.
            self._reopen()
            self._append(data)

    def close(self) -> None:
        """Close the file; standard output stays open."""
        os.close(self._file)

    def _append(self, data: bytes) -> None:
        with self._locked():
            taken = 0
            try:
                while taken < len(data):
                    taken += self._write(self._file, data[taken:])
            except OSError as error:
                if taken and not self._cut(taken):
                    raise TornLineError(taken, error) from error
                raise

    def _cut(self, taken: int) -> bool:
        """Cut off the bytes just written; return whether that was possible."""
        if not self._regular:
            return False
        try:
            os.ftruncate(self._file, max(0, os.fstat(self._file).st_size - taken))
        except OSError:
            return False
        return True

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._regular:
            yield
            return
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _moved(self) -> bool:
        """Return whether the path leads to another file now, or to none."""
        if self._path is None:
            return False
        held = os.fstat(self._file)
        try:
            found = self._path.stat()
        except OSError:
            return True
        return (held.st_dev, held.st_ino) != (found.st_dev, found.st_ino)

    def _reopen(self) -> None:
        file, regular = self._open()
        os.close(self._file)
        self._file, self._regular = file, regular

    def _open(self) -> tuple[int, bool]:
        if self._path is None:
            file = _own_stdout()
        else:
            file = os.open(self._path, _FLAGS | os.O_CREAT, 0o600)
        return file, stat.S_ISREG(os.fstat(file).st_mode)


def _own_stdout() -> int:
    """Open standard output anew: not blocking is a property that others would share otherwise."""
    number = sys.stdout.fileno()
    try:
        return os.open(f"/proc/self/fd/{number}", _FLAGS)
    except OSError:  # a socket, or no /proc
        return os.dup(number)
