"""Writes the decision log: one JSON line per decision, from a thread of its own.

Fail closed: while the file cannot be written, ``ready`` is false and the gate admits nothing;
denials are still answered. Queued lines are kept and retried, so the lines of admitted calls are
not lost to a full disk. Only denials are dropped, and counted, once the queue is full.

Every line is ASCII: values from clients are escaped by JSON and truncated, so that no value can
start a line of its own (CVE-2024-45808).
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sidecar.core.assessment import Assessment
from sidecar.core.decide import Decision
from sidecar.core.window import rfc3339
from sidecar.observe.outcome import Outcome

log = logging.getLogger("sidecar.observe")

STDOUT = "-"
MAX_TEXT_CHARS = 512
MAX_ITEMS = 64
_QUEUE_LINES = 16384
_BATCH_LINES = 256
_RETRY_SECONDS = 0.25


def record(outcome: Outcome) -> dict[str, Any]:
    """Return the fields of one decision's line; every key is always present."""
    decision = outcome.decision
    call, caller = decision.call, decision.credential
    return {
        "id": decision.id,
        "time": rfc3339(decision.at),
        "outcome": "allow" if decision.allowed else "deny",
        "reason": decision.reason.value,
        "detail": _text(decision.detail),
        "step": None if decision.failed is None else decision.failed.step,
        "missing": [] if decision.failed is None else _texts(decision.failed.missing),
        "withdrawn": _withdrawn(decision),
        "provider": _text(outcome.provider),
        "operation": None if call is None else call.operation,
        "method": _text(outcome.method),
        "path": _text(outcome.path),
        "models": [] if call is None else _texts(call.named),
        "tuned": [] if call is None else _texts(call.tuned),
        "specification": None if call is None else _optional(call.specification),
        "environment": None if caller is None else _text(caller.spiffe_id),
        "credential": None if caller is None else caller.kind,
        **_relied_on(decision.assessment),
        "violations": sorted({v.code for v in decision.violations})[:MAX_ITEMS],
        "warnings": sorted({v.code for v in decision.warnings})[:MAX_ITEMS],
        "revision": decision.revision,
        "epoch": decision.epoch,
        "lease_until": None if decision.lease_until is None else rfc3339(decision.lease_until),
        "request_id": _text(outcome.request_id),
        "duration_us": round(outcome.seconds * 1_000_000),
    }


def line(outcome: Outcome) -> bytes:
    """Return one line of the log, with its line feed."""
    return json.dumps(record(outcome), separators=(",", ":")).encode("ascii") + b"\n"


def _relied_on(assessment: Assessment | None) -> dict[str, Any]:
    if assessment is None:
        return {
            "jurisdictions": [],
            "deployments": [],
            "manifests": [],
            "constituents": [],
            "of_record": [],
        }
    environment = assessment.environment
    deployed = [(chain.model, chain.deployed) for chain in assessment.chains if chain.deployed]
    return {
        "jurisdictions": [] if environment is None else _texts(environment.predicate.jurisdictions),
        "deployments": [
            {"name": _text(name), "model": _text(entry.binding.predicate.model)}
            for name, entry in deployed[:MAX_ITEMS]
        ],
        "manifests": _texts(assessment.manifests),
        "constituents": _texts(assessment.constituents),
        "of_record": _texts(assessment.of_record),
    }


def _withdrawn(decision: Decision) -> dict[str, str] | None:
    found = None if decision.failed is None else decision.failed.withdrawn
    if found is None:
        return None
    return {
        "kind": found.node.kind.value,
        "subject": _text(found.node.subject),
        "authority": found.authority,
        "reason": _text(found.reason),
    }


def _texts(values: tuple[str, ...]) -> list[str]:
    return [_text(value) for value in values[:MAX_ITEMS]]


def _optional(value: str | None) -> str | None:
    return None if value is None else _text(value)


def _text(value: str) -> str:
    return value if len(value) <= MAX_TEXT_CHARS else value[:MAX_TEXT_CHARS] + "…"


class DecisionLog:
    """The decision log's file, and the thread that writes it.

    Args:
        path: A file to append to, or ``-`` for standard output.
        on_lost: Called with the number of lines that were dropped.
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
        self._path = path
        self._write_some = write
        self._on_lost = on_lost
        self._queue: queue.Queue[Outcome | None] = queue.Queue(_QUEUE_LINES)
        self._writable = True
        self._broken = False
        self._stopping = False
        self._file = self._open()
        self._thread = threading.Thread(target=self._run, name="decision-log")
        self._thread.start()

    def ready(self) -> bool:
        """Return whether a decision that is made now will be recorded."""
        return self._writable and not self._broken and self._queue.qsize() < _QUEUE_LINES // 2

    def put(self, outcome: Outcome) -> None:
        """Queue one decision; never blocks."""
        try:
            self._queue.put_nowait(outcome)
        except queue.Full:
            self._on_lost(1)

    def close(self) -> None:
        """Write the queued lines, trying once more if the file cannot be written, and close it."""
        self._stopping = True
        self._queue.put(None)
        self._thread.join()
        if self._path != STDOUT:
            os.close(self._file)

    def _open(self) -> int:
        if self._path == STDOUT:
            return sys.stdout.fileno()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(Path(self._path), flags, 0o600)

    def _run(self) -> None:
        ended = False
        while not ended:
            batch = [self._queue.get()]
            while len(batch) < _BATCH_LINES and not self._queue.empty():
                batch.append(self._queue.get())
            ended = None in batch
            lines = [self._line(item) for item in batch if item is not None]
            self._write(b"".join(lines), len(lines))

    def _line(self, outcome: Outcome) -> bytes:
        try:
            return line(outcome)
        except Exception:
            log.exception(
                "decision %s cannot be serialized; nothing is admitted any more until a restart",
                outcome.decision.id,
            )
            self._broken = True  # later decisions would fail to be recorded too
            self._on_lost(1)
            return b""

    def _write(self, data: bytes, lines: int) -> None:
        """Write all of ``data``, retrying until it is written or the gate stops."""
        while data:
            last_try = self._stopping  # read before the write, so that one write follows the stop
            try:
                data = data[self._write_some(self._file, data) :]
            except OSError as error:
                if self._writable:
                    log.error("the decision log cannot be written, nothing is admitted: %s", error)  # noqa: TRY400
                self._writable = False
                if last_try:
                    self._on_lost(lines)
                    return
                threading.Event().wait(_RETRY_SECONDS)
        if not self._writable:
            log.warning("the decision log can be written again")
            self._writable = True
