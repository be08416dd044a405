"""Shared memory in which the processes of one gate report their state.

The supervisor makes it before it starts any process; each process has a slot of its own, to which
only it writes. What is longer than a number is a *record*: it is written beside the one before and
put in force by one store, so that a process that is killed leaves a whole one, and readers never
wait.
"""

from __future__ import annotations

import mmap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_WORD = 8
_SLOT_WORDS = 16
_STATUS_BYTES = 16 << 10
METRICS_BYTES = 1 << 20
_HEADER_BYTES = mmap.PAGESIZE
_SECOND = 1_000_000_000

_PID, _ROLE, _NUMBER, _BEAT, _READY, _LISTENING, _EPOCH, _IN_FLIGHT = range(8)
_STATUS_AT, _METRICS_AT = 8, 11
_POLICIES_SLOT = 0


class Role(StrEnum):
    """What a process of the gate does."""

    WRITER = "writer"
    POLICIES = "policies"
    WORKER = "worker"


_ROLES = tuple(Role)


class Record:
    """Bytes that one process writes and any number of them read whole.

    Args:
        words: Three numbers: the sequence, and the lengths of two halves.
        halves: The memory of both.
    """

    def __init__(self, words: memoryview, halves: memoryview) -> None:
        self._words, self._halves = words, halves
        self._most = len(halves) // 2

    @property
    def sequence(self) -> int:
        """Return a number that is another one after each ``write``."""
        return self._words[0]

    def write(self, data: bytes) -> bool:
        """Replace the record; return whether it fits."""
        if len(data) > self._most:
            return False
        after = self._words[0] + 1
        half = after & 1
        at = half * self._most
        self._halves[at : at + len(data)] = data
        self._words[1 + half] = len(data)
        self._words[0] = after
        return True

    def read(self) -> bytes:
        """Return the record; empty before the first ``write``."""
        while True:
            sequence = self._words[0]
            half = sequence & 1
            at = half * self._most
            data = bytes(self._halves[at : at + self._words[1 + half]])
            if self._words[0] == sequence:  # else the writer may have overwritten this half
                return data

    def clear(self) -> None:
        """Forget it, for the next process of the slot."""
        self._words[1] = self._words[2] = 0
        self._words[0] += 2


SILENT_SECONDS = 5.0
"""After how long a process that states nothing is shown as not ready; it states something twice a
second."""


@dataclass(frozen=True, slots=True)
class SlotReading:
    """What a process states of itself.

    Attributes:
        slot: Number of its slot.
        role: Its role.
        number: Its number among those of its role, from 1.
        pid: Its process id.
        silent: Seconds since its event loop last stated that it runs.
        ready: Whether it does its work now.
        listening: Whether it has begun to listen; of a worker.
        epoch: The epoch that it read last; of a worker.
        in_flight: Requests that it is answering; of a worker.
    """

    slot: int
    role: Role
    number: int
    pid: int
    silent: float
    ready: bool
    listening: bool
    epoch: int
    in_flight: int

    @property
    def working(self) -> bool:
        """Return whether it does its work: what it stated last is not true of one that hangs."""
        return self.ready and self.silent < SILENT_SECONDS


class Slot:
    """One process's part of the scoreboard."""

    def __init__(self, number: int, words: memoryview, memory: memoryview) -> None:
        self.number = number
        self._words = words
        status, metrics = memory[: 2 * _STATUS_BYTES], memory[2 * _STATUS_BYTES :]
        self.status = Record(words[_STATUS_AT : _STATUS_AT + 3], status)
        self.metrics = Record(words[_METRICS_AT : _METRICS_AT + 3], metrics)

    @property
    def pid(self) -> int:
        """Return the process id of its process; 0 without one."""
        return self._words[_PID]

    def begin(self, role: Role, number: int) -> None:
        """Prepare the slot for a process."""
        words = self._words
        for at in (_READY, _LISTENING, _EPOCH, _IN_FLIGHT):
            words[at] = 0
        self.status.clear()
        self.metrics.clear()
        words[_ROLE] = _ROLES.index(role)
        words[_NUMBER] = number
        words[_BEAT] = time.monotonic_ns()

    def take(self, pid: int) -> None:
        """State that a process has the slot."""
        self._words[_PID] = pid

    def end(self) -> None:
        """Take the slot back from a process that has ended."""
        self._words[_READY] = self._words[_PID] = 0

    def beat(
        self, *, ready: bool, listening: bool = False, epoch: int = 0, flying: int = 0
    ) -> None:
        """State that the process's event loop runs, and how it is."""
        words = self._words
        words[_LISTENING], words[_EPOCH], words[_IN_FLIGHT] = listening, epoch, flying
        words[_READY] = ready
        words[_BEAT] = time.monotonic_ns()

    def reading(self) -> SlotReading:
        """Return what its process states."""
        words = self._words
        return SlotReading(
            slot=self.number,
            role=_ROLES[words[_ROLE]],
            number=words[_NUMBER],
            pid=words[_PID],
            silent=max(0, time.monotonic_ns() - words[_BEAT]) / _SECOND,
            ready=bool(words[_READY]),
            listening=bool(words[_LISTENING]),
            epoch=words[_EPOCH],
            in_flight=words[_IN_FLIGHT],
        )


class Scoreboard:
    """The shared memory of a supervisor and its processes; forked processes inherit it.

    Args:
        slots: How many processes there are at most, those that replace others included.
    """

    def __init__(self, slots: int) -> None:
        each = 2 * _STATUS_BYTES + 2 * METRICS_BYTES
        # Anonymous memory: a full disk cannot end a process, and only what is touched is used.
        self._memory = memoryview(
            mmap.mmap(-1, _HEADER_BYTES + (slots + 1) * (_HEADER_BYTES + each))
        )
        self._words = self._memory[:_HEADER_BYTES].cast("Q")
        self.slots = tuple(self._slot(number, each) for number in range(slots))
        self.retired = self._slot(slots, each)
        """Counts of processes that have ended."""

    @property
    def policies(self) -> Slot | None:
        """Return the slot of the process whose policies are in force; ``None`` without one."""
        number = self._words[_POLICIES_SLOT]
        return self.slots[number - 1] if number else None

    def put_policies_in_force(self, slot: Slot) -> None:
        """State that the policies of the process in ``slot`` are in force."""
        self._words[_POLICIES_SLOT] = slot.number + 1

    def running(self, role: Role | None = None) -> Iterator[SlotReading]:
        """Yield the processes that run, of one role or of all."""
        for slot in self.slots:
            if slot.pid:
                found = slot.reading()
                if role is None or found.role is role:
                    yield found

    def _slot(self, number: int, each: int) -> Slot:
        at = _HEADER_BYTES + number * (_HEADER_BYTES + each)
        words = self._memory[at : at + _SLOT_WORDS * _WORD].cast("Q")
        return Slot(number, words, self._memory[at + _HEADER_BYTES : at + _HEADER_BYTES + each])
