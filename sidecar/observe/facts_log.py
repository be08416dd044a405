"""The recorder: one JSON line for each question to the policies, to be replayed against others.

What is recorded is what the policies saw: the facts. They hold no prompts, no headers and nothing
that a client merely claimed, so neither does this file. It is a tool of policy authors and no
account of decisions: a line that cannot be written is dropped and counted, and nothing waits for
it. The file is this user's alone and of bounded size: when it is full it becomes ``<name>.1``, in
the place of the one before.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sidecar.core.facts import to_input
from sidecar.core.window import rfc3339
from sidecar.observe.outcome import Outcome

log = logging.getLogger("sidecar.observe")

MAX_FILE_BYTES = 64 << 20
_QUEUE_LINES = 4096


def record(outcome: Outcome) -> dict[str, Any]:
    """Return what is recorded of one question.

    Raises:
        ValueError: The policies were not asked.
    """
    decision, facts = outcome.decision, outcome.facts
    if facts is None:
        raise ValueError("no question to the policies")
    return {
        "time": rfc3339(decision.at),
        "id": decision.id,
        "revision": decision.revision,
        "allowed": decision.allowed,
        "reason": decision.reason.value,
        "violations": sorted({violation.code for violation in decision.violations}),
        # The nonce says nothing about the call, and a replay chooses its own.
        "facts": to_input(dataclasses.replace(facts, nonce="")),
    }


class FactsLog:
    """The file and the thread that writes it.

    Args:
        path: A file to append to.
        on_lost: Called with the number of lines that were dropped.
        max_bytes: Of the file, and of the one before it.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(
        self, path: Path, on_lost: Callable[[int], None], max_bytes: int = MAX_FILE_BYTES
    ) -> None:
        self._path = path
        self._on_lost = on_lost
        self._max_bytes = max_bytes
        self._queue: queue.Queue[Outcome | None] = queue.Queue(_QUEUE_LINES)
        self._failing = False
        self._file, self._size = _open(path)
        self._thread = threading.Thread(target=self._run, name="facts-log")
        self._thread.start()

    def put(self, outcome: Outcome) -> None:
        """Accept one question with its outcome; never waits."""
        try:
            self._queue.put_nowait(outcome)
        except queue.Full:
            self._on_lost(1)

    def close(self) -> None:
        """Write what was accepted and close the file."""
        self._queue.put(None)
        self._thread.join()
        os.close(self._file)

    def _run(self) -> None:
        while (outcome := self._queue.get()) is not None:
            try:
                self._append(json.dumps(record(outcome), separators=(",", ":")).encode() + b"\n")
            except Exception as error:  # noqa: BLE001 - the thread must live on
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
            # Half a line would spoil the next one as well.
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
