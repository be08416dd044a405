"""Shares which epoch is in force with every process that reads the store of a state folder.

A page of memory, mapped from a file of the state folder, holds a few numbers: the writer sets them,
any number of readers look at them before each reply. Looking costs a tenth of a microsecond and
never waits. What is in force is stated after it was committed: a reader that sees a new sequence
finds the epoch, or a later one, in the store.

The writer states every half second that nothing is waiting to be committed (a *heartbeat*), by the
clock since boot, which cannot be set and counts while the machine is suspended. What a reader knows
is relied on for ``SILENT_SECONDS`` after the last one: then a withdrawal may be missing.

The numbers are 64 bits each, aligned, and written by one store each, so that none is read torn.
"""

from __future__ import annotations

import errno
import mmap
import os
import time
from enum import IntEnum
from pathlib import Path

NAME = "epoch.page"
SILENT_SECONDS = 45.0
"""How long a reader relies on an epoch without a heartbeat: the critical bound of a withdrawal."""
BEAT_SECONDS = 0.5
_FORMAT = 0x41444D4954000001
_SIZE = mmap.PAGESIZE
_SECOND = 1_000_000_000
_REMAP_SECONDS = 1.0


_FORMAT_AT, _BOOT_AT, _SEQUENCE_AT, _BEAT_AT, _STATE_AT, _STORE_AT, _EPOCH_AT = range(7)
"""Positions of the numbers."""


class _State(IntEnum):
    """Whether what is stored may be relied on."""

    ASKING = 0
    """The authorities were not all asked yet."""
    IN_FORCE = 1
    UNWRITTEN = 2
    """A change is in force that could not be committed."""


_IN_FORCE = int(_State.IN_FORCE)
_SILENT_NS = int(SILENT_SECONDS * _SECOND)
_PROBLEMS = {
    _State.ASKING: "the control path has not asked every authority since it started",
    _State.UNWRITTEN: "a change cannot be written to the store; see the control path's log",
}


def since_boot() -> int:
    """Return nanoseconds since boot, including suspend."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class EpochPage:
    """The page of one state folder. One process writes: the one that holds the writer's lock.

    Args:
        state_dir: The state folder, which exists.

    Raises:
        OSError: The page can be neither made nor mapped.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / NAME
        self._boot = _boot_id()
        self._remapped = 0
        self._opened = self._written = False
        self._inode, self._words = self._mapped()

    @property
    def sequence(self) -> int:
        """Return a number that is another one after each change of what is in force."""
        return self._words[_SEQUENCE_AT]

    @property
    def store(self) -> int:
        """Return the identity of the store that has the epoch; see ``VerifiedStore.identity``."""
        return self._words[_STORE_AT]

    @property
    def epoch(self) -> int:
        """Return the number of the epoch in force."""
        return self._words[_EPOCH_AT]

    def problem(self) -> str:
        """Return why nothing in the store may be relied on now; empty if it may."""
        words = self._words
        beat = words[_BEAT_AT]  # before the clock, since a writer may update it at any moment
        now = since_boot()
        if (
            words[_STATE_AT] == _IN_FORCE
            and words[_BOOT_AT] == self._boot
            and 0 <= now - beat <= _SILENT_NS
            and words[_FORMAT_AT] == _FORMAT
        ):
            return ""
        return self._problem(now)

    def _problem(self, now: int) -> str:
        if now - self._remapped >= _REMAP_SECONDS * _SECOND:
            self._remapped = now
            self._map_again()
        words = self._words
        if words[_FORMAT_AT] not in (0, _FORMAT):
            return f"{self._path} was written by another version"
        if words[_BOOT_AT] != self._boot or not words[_SEQUENCE_AT]:
            return "no control path has run since the machine was started"
        if words[_STATE_AT] != _State.IN_FORCE:
            return _PROBLEMS[_State(words[_STATE_AT])]
        beat = words[_BEAT_AT]
        if not beat:
            return _PROBLEMS[_State.ASKING]
        silent = (since_boot() - beat) / _SECOND
        if 0 <= silent <= SILENT_SECONDS:
            return ""
        return f"the control path has been silent for {silent:.0f} s"

    def continues(self) -> bool:
        """Return whether a writer may go on where the one before ended: it ended just now."""
        return not self.problem()

    def begin(self, *, continues: bool) -> None:
        """Take the page over as the writer of the store.

        Args:
            continues: As ``continues`` returned; otherwise nothing is relied on until ``open``.
        """
        self._opened, self._written = continues, True
        self._words[_STATE_AT] = self._state()
        self._words[_FORMAT_AT], self._words[_BOOT_AT] = _FORMAT, self._boot

    def publish(self, epoch: int, store: int, *, written: bool) -> None:
        """State that an epoch is in force.

        Args:
            epoch: Of the last step.
            store: Identity of the store.
            written: Whether the step was committed; otherwise readers rely on nothing.
        """
        words, self._written = self._words, written
        words[_STORE_AT], words[_EPOCH_AT] = store, epoch
        words[_STATE_AT] = self._state()
        words[_SEQUENCE_AT] += 1

    def open(self) -> None:
        """State that every authority was asked since the start."""
        self._opened = True
        self._words[_STATE_AT] = self._state()

    def _state(self) -> _State:
        if not self._written:
            return _State.UNWRITTEN
        return _State.IN_FORCE if self._opened else _State.ASKING

    def beat(self) -> None:
        """State that everything known at this moment is in force."""
        self._words[_BEAT_AT] = since_boot()

    def restored(self) -> bool:
        """Return whether the page was removed and is made again, to be filled by the writer."""
        before = self._words
        if not self._map_again():
            return False
        for at in range(_EPOCH_AT + 1):
            self._words[at] = before[at]
        return True

    def _map_again(self) -> bool:
        """Map the file at the path if it is another one; return whether it is."""
        try:
            if self._path.stat().st_ino == self._inode:
                return False
        except OSError:
            pass
        try:
            self._inode, self._words = self._mapped()
        except OSError:
            return False
        return True

    def _mapped(self) -> tuple[int, memoryview]:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            # Not a sparse file: a store into one on a full disk would end the process (SIGBUS).
            os.posix_fallocate(descriptor, 0, _SIZE)
            inode = os.fstat(descriptor).st_ino
            return inode, memoryview(mmap.mmap(descriptor, _SIZE)).cast("Q")
        except ValueError as error:
            raise OSError(errno.EINVAL, f"cannot be mapped: {error}") from error
        finally:
            os.close(descriptor)


def _boot_id() -> int:
    """Return a number of this boot, so that a time since another boot is never compared."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return 1
    return int(text.replace("-", "")[:16], 16) or 1
