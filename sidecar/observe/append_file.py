"""Appends whole lines to a file that others may rename, remove, fill up or share.

A file is opened by its path again as soon as the path leads elsewhere, so that a rotation by rename
(logrotate's default) needs no signal. Several processes may append to one file: each append holds a
lock, and what a full disk cut is cut off under it, so that no line is ever merged with another. A
line that a killed process left unfinished is ended by the next append. A pipe, which processes
share as standard output, is written whole lines at a time, at most ``PIPE_BUF`` bytes, which the
kernel takes as one or not at all; while a longer line is under way, the lock is kept.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import sys
from collections.abc import Callable
from enum import Enum

STDOUT = "-"
_TRIES = 3
"""How often lines are written whose file is replaced meanwhile."""
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK


class _Kind(Enum):
    """Kind of the file that is appended to."""

    REGULAR = "regular"
    PIPE = "pipe"
    OTHER = "other"


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
        self._path = None if path == STDOUT else path
        self._write = write
        self._end = -1  # of a regular file, after the last append by this process
        self._held = False
        self._open()

    def append(self, data: bytes) -> None:
        """Append whole lines, all or none of them where the file is a regular one.

        Raises:
            BlockingIOError: Another process appends, or a pipe is full; nothing was written.
            TornLineError: A pipe took only a part.
            OSError: Nothing was written, such as with a full disk.
        """
        for _ in range(_TRIES):
            if self._append(data):
                return
            self._reopen()
        raise OSError(errno.ESTALE, f"the log was replaced {_TRIES} times while it was written")

    def close(self) -> None:
        """Close the file; standard output stays open."""
        os.close(self._file)

    def _append(self, data: bytes) -> bool:
        """Append under the lock; return whether the path leads to the lines, or to a renamed file.

        Each look is one call of the system, since the request path waits for it.
        """
        if self._lockable and not self._held:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._held = False
        try:
            size = self._size()
            if size is None:
                return False
            if self._kind is _Kind.REGULAR and size not in (0, self._end):
                self._end_line(size)
            self._write_all(data)
            after = os.fstat(self._file)
            self._end = after.st_size
            # If the file was removed meanwhile, the lines are lost; if renamed, they are in it.
            return self._path is None or after.st_nlink > 0
        finally:
            if self._lockable and not self._held:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _write_all(self, data: bytes) -> None:
        taken = 0
        try:
            while taken < len(data):
                taken += self._write(self._file, self._next(data, taken))
        except OSError as error:
            if taken and not self._cut(taken):
                self._held = self._kind is _Kind.PIPE and data[taken - 1 : taken] != b"\n"
                raise TornLineError(taken, error) from error
            raise

    def _next(self, data: bytes, taken: int) -> bytes:
        """Return what to write next; to a pipe whole lines that it takes as one."""
        if self._kind is not _Kind.PIPE or len(data) - taken <= select.PIPE_BUF:
            return data[taken:]
        end = data.rfind(b"\n", taken, taken + select.PIPE_BUF) + 1
        return data[taken : end or data.find(b"\n", taken) + 1 or len(data)]

    def _size(self) -> int | None:
        """Return the file's size; ``None`` where the path leads to another file now, or to none."""
        if self._path is None:
            return os.fstat(self._file).st_size
        try:
            found = os.stat(self._path)  # noqa: PTH116 - a Path takes as long again
        except OSError:
            return None
        return found.st_size if (found.st_dev, found.st_ino) == self._identity else None

    def _end_line(self, size: int) -> None:
        """End a line that another process was killed in; its call was never answered."""
        try:
            reader = os.open(f"/proc/self/fd/{self._file}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # a file that may only be written
            return
        try:
            torn = os.pread(reader, 1, size - 1) != b"\n"
        finally:
            os.close(reader)
        if torn:
            self._write(self._file, b"\n")

    def _cut(self, taken: int) -> bool:
        """Cut off the bytes just written; return whether that was possible."""
        if self._kind is not _Kind.REGULAR:
            return False
        try:
            os.ftruncate(self._file, max(0, os.fstat(self._file).st_size - taken))
        except OSError:
            return False
        return True

    def _reopen(self) -> None:
        before = self._file
        self._open()
        os.close(before)

    def _open(self) -> None:
        """Open the path, or standard output, in place of what is open."""
        if self._path is None:
            file = _own_stdout()
        else:
            file = os.open(self._path, _FLAGS | os.O_CREAT, 0o600)
        found = os.fstat(file)
        if stat.S_ISREG(found.st_mode):
            self._kind = _Kind.REGULAR
        else:
            self._kind = _Kind.PIPE if stat.S_ISFIFO(found.st_mode) else _Kind.OTHER
        self._lockable = self._kind is not _Kind.OTHER
        self._file, self._identity = file, (found.st_dev, found.st_ino)
        self._end, self._held = -1, False


def _own_stdout() -> int:
    """Reopen standard output: not blocking is a property that others would share otherwise."""
    number = sys.stdout.fileno()
    try:
        return os.open(f"/proc/self/fd/{number}", _FLAGS)
    except OSError:  # a socket, or no /proc
        return os.dup(number)
