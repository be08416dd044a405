"""Writes the decision log: one JSON line per decision, and no allow before its line is written.

Theory of operation. An allow is answered only after its line is written, so neither a full disk
nor the end of the process can leave an admitted call without a line; a write that fails turns the
allow into a denial. The line of an allow that comes by itself is appended at once. Lines that
follow each other closely are one write at the end of the event loop's iteration (group commit), in
which requests that came together are decided. Lines of denials wait in memory, are appended with
them, retried, and dropped and counted once the queue is full.

``append_file`` notices a file that was renamed or removed. There is no thread: one would hand the
interpreter's lock to and fro for each line, and an allow would wait for it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from sidecar.observe.append_file import AppendFile, TornLineError
from sidecar.observe.decision_record import line
from sidecar.observe.outcome import LeasedOutcome, Outcome

log = logging.getLogger("sidecar.observe")

_QUEUE_LINES = 16384
_BATCH_LINES = 256
_RETRY_SECONDS = 0.25
_CLOSE_SECONDS = 0.001
"""A line that follows another one within this time waits for more."""
_BUSY_SECONDS = 0.001
BUSY_PATIENCE = 0.5
"""A full pipe, or another process's lock, is tried again every ``_BUSY_SECONDS``, and counts as a
failure after this time: whoever holds the lock may wait for a processor or for the disk. Together
with the gate's deadline it is shorter than Envoy waits for the answer."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One line, and for an allow the result that its answer waits for."""

    data: bytes
    written: asyncio.Future[bool] | None = None


class DecisionLog:
    """The decision log of one process; to be used inside one event loop.

    Args:
        path: A file to append to, or ``-`` for standard output.
        on_lost: Called with the number of denials' lines that were dropped.
        write: Writes to a file descriptor, like ``os.write``.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(
        self,
        path: str,
        on_lost: Callable[[int], None],
        write: Callable[[int, bytes], int] = os.write,
    ) -> None:
        self._file = AppendFile(path, write)
        self._on_lost = on_lost
        self._queue: deque[_Entry] = deque()
        self._begun = 0  # bytes of the first entry that a pipe has taken already
        self._timer: asyncio.Handle | None = None
        self._recorded = float("-inf")
        self._busy_since: float | None = None
        self._writable = True
        self._broken = False

    def ready(self) -> bool:
        """Return whether an allow can be recorded now, as far as the last write shows."""
        return self._writable and not self._broken and len(self._queue) < _QUEUE_LINES // 2

    async def record(self, outcome: Outcome | LeasedOutcome) -> bool:
        """Write the line of an allow; return whether it was written.

        After ``False`` the caller denies and records the denial, whose line has the same id. If a
        pipe took a part of the allow's line, the rest follows it later: the last line of an id
        counts.
        """
        data = self._line(outcome)
        if not data:
            return False
        now = time.monotonic()
        alone, self._recorded = now - self._recorded > _CLOSE_SECONDS, now
        if alone and not self._queue and self._timer is None and self._appended(data):
            return True
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.append(_Entry(data, written))
        self._schedule()
        return await written

    def _appended(self, data: bytes) -> bool:
        """Append a line at once; return whether it is written. What failed is tried again later."""
        try:
            self._file.append(data)
        except TornLineError as error:
            self._begun = error.taken
        except OSError:
            pass
        else:
            return True
        return False

    def put(self, outcome: Outcome) -> None:
        """Queue the line of a denial; never blocks."""
        if len(self._queue) >= _QUEUE_LINES:
            self._on_lost(1)
            return
        data = self._line(outcome)
        if data:
            self._queue.append(_Entry(data))
            self._schedule()

    def close(self) -> None:
        """Write the queued lines, trying once more, and close the file."""
        if self._timer is not None:
            self._timer.cancel()
        end = time.monotonic() + BUSY_PATIENCE
        while self._queue and time.monotonic() < end:
            try:
                self._write()
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    break
                time.sleep(_BUSY_SECONDS)
        self._refuse_waiting()
        if self._queue:
            self._on_lost(len(self._queue))
        self._file.close()

    def _line(self, outcome: Outcome | LeasedOutcome) -> bytes:
        try:
            return line(outcome)
        except Exception:
            log.exception(
                "decision %s cannot be serialized; nothing is admitted any more until a restart",
                outcome.id,
            )
            self._broken = True  # later decisions would fail to be recorded too
            self._on_lost(1)
            return b""

    def _schedule(self) -> None:
        """Write what waits at the end of this iteration, unless a write is due anyway."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Write a batch; what cannot be written now is tried again later."""
        self._timer = None
        begun = len(self._queue), self._begun
        try:
            self._write()
        except OSError as error:
            now = time.monotonic()
            if self._busy_since is None or begun != (len(self._queue), self._begun):
                self._busy_since = now
            if error.errno == errno.EAGAIN and now - self._busy_since < BUSY_PATIENCE:
                self._again(_BUSY_SECONDS)
            else:
                self._failed(error)
        else:
            self._busy_since = None
            if not self._writable:
                log.warning("the decision log can be written again")
                self._writable = True
            if self._queue:
                self._schedule()

    def _again(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._flush)

    def _failed(self, error: OSError) -> None:
        if self._writable:
            log.error("the decision log cannot be written, nothing is admitted: %s", error)
        self._writable, self._busy_since = False, None
        self._refuse_waiting()
        self._again(_RETRY_SECONDS)

    def _refuse_waiting(self) -> None:
        """Take back the lines of allows, which become denials with lines of their own."""
        for entry in self._queue:
            _settle(entry, written=False)
        kept = self._queue.popleft() if self._begun else None
        self._queue = deque(entry for entry in self._queue if entry.written is None)
        if kept is not None:
            self._queue.appendleft(_Entry(kept.data))  # its rest must follow

    def _write(self) -> None:
        """Append one batch.

        Raises:
            OSError: As ``AppendFile.append``; lines that were written are no longer queued.
        """
        batch = b"".join(entry.data for entry in islice(self._queue, _BATCH_LINES))
        data = batch[self._begun :]
        try:
            self._file.append(data)
        except TornLineError as error:
            self._took(error.taken)
            raise
        self._took(len(data))

    def _took(self, taken: int) -> None:
        """Remove and settle the entries whose lines end within the ``taken`` bytes."""
        end = self._begun + taken
        while self._queue and end >= len(self._queue[0].data):
            entry = self._queue.popleft()
            end -= len(entry.data)
            _settle(entry, written=True)
        self._begun = end


def _settle(entry: _Entry, *, written: bool) -> None:
    if entry.written is not None and not entry.written.done():
        entry.written.set_result(written)
