"""Writes the log of facts: a JSON line for each call that policies were asked about.

``admit policy diff`` replays it on other policies. It records the facts, the policies' input. They
contain no prompts, no headers and no unverified claims of a client, so neither does this file. It
is a tool for policy authors and no audit log: a line that cannot be written is dropped and counted,
and no decision waits for it. The file is readable by the gate's user alone and bounded in size: a
full file is renamed to ``<name>.1``, replacing the previous one.

A thread writes what gathered within ``_GATHER_SECONDS``: one that woke up for each line would take
the interpreter's lock from the event loop each time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sidecar.core.facts import to_input
from sidecar.core.window import rfc3339
from sidecar.observe.outcome import Outcome, PolicyQuery

log = logging.getLogger("sidecar.observe")

MAX_FILE_BYTES = 64 << 20
_QUEUE_LINES = 4096
_GATHER_SECONDS = 0.05


def record(outcome: Outcome, asked: PolicyQuery) -> dict[str, Any]:
    """Return the fields of the line of one call of a request.

    ``facts`` is what the policies were asked first. ``others`` is there if they denied that and
    were asked about other evidence that counts. ``id`` is that of the request's decision, which
    the lines of a batch file share; the outcome is that of the call.
    """
    decision = asked.decision or outcome.decision
    # The nonce is not about the call, and a replay sets its own.
    first, *others = (to_input(dataclasses.replace(each, nonce="")) for each in asked.facts)
    return {
        "time": rfc3339(decision.at),
        "id": outcome.id,
        "revision": decision.revision,
        "allowed": decision.allowed,
        "reason": decision.reason.value,
        "violations": sorted({violation.code for violation in decision.violations}),
        "facts": first,
        **({"others": others} if others else {}),
    }


class FactsLog:
    """The log's file, and the thread that writes it.

    Args:
        path: A file to append to.
        on_lost: Called with the number of lines that were dropped.
        max_bytes: Largest size of the file, and of the rotated one.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(
        self, path: Path, on_lost: Callable[[int], None], max_bytes: int = MAX_FILE_BYTES
    ) -> None:
        self._path = path
        self._on_lost = on_lost
        self._max_bytes = max_bytes
        self._queue: deque[tuple[Outcome, PolicyQuery]] = deque()
        self._filled, self._closing = threading.Event(), threading.Event()
        self._failing = False
        self._file, self._size = _open(path)
        self._thread = threading.Thread(target=self._run, name="facts-log")
        self._thread.start()

    def put(self, outcome: Outcome) -> None:
        """Queue what the policies were asked, with its outcome; never blocks."""
        if len(self._queue) >= _QUEUE_LINES:
            self._on_lost(len(outcome.asked))
            return
        self._queue.extend((outcome, each) for each in outcome.asked)
        if not self._filled.is_set():
            self._filled.set()

    def close(self) -> None:
        """Write the queued lines and close the file."""
        self._closing.set()
        self._filled.set()
        self._thread.join()
        os.close(self._file)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._filled.wait()
            self._closing.wait(_GATHER_SECONDS)
            self._filled.clear()  # before the queue is read, so that no line is left behind
            self._write()
        self._write()

    def _write(self) -> None:
        """Write every queued line."""
        while self._queue:
            outcome, asked = self._queue.popleft()
            try:
                line = json.dumps(record(outcome, asked), separators=(",", ":"))
                self._append(line.encode() + b"\n")
            except Exception as error:  # noqa: BLE001 - the thread must go on
                self._on_lost(1)
                if not self._failing:
                    log.error("the log of facts cannot be written: %s", error)  # noqa: TRY400
                self._failing = True
            else:
                self._failing = False

    def _append(self, line: bytes) -> None:
        if self._size and self._size + len(line) > self._max_bytes:
            self._rotate()
        written = os.write(self._file, line)
        if written < len(line):
            # A partial line would make the next one unreadable too.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._size)
            raise OSError("no room for a whole line")
        self._size += written

    def _rotate(self) -> None:
        self._path.replace(self._path.with_name(self._path.name + ".1"))
        file, size = _open(self._path)
        os.close(self._file)
        self._file, self._size = file, size


def _open(path: Path) -> tuple[int, int]:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    file = os.open(path, flags, 0o600)
    os.fchmod(file, 0o600)
    return file, os.fstat(file).st_size
