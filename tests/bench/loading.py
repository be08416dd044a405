"""Waits for a gate's first load, for as long as it goes on."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from admissibility_devtools.demo.gate_process import GateProcess
from tests.bench.wrk import VoidError

_STALLED_SECONDS = 90.0
"""Without another manifest or a file less that waits, a load does not go on."""
_LOOK_SECONDS = 0.5


def wait(gate: GateProcess, manifests: int) -> None:
    """Wait until the gate is ready and knows so many manifests.

    Raises:
        StageError: It ended, or does not listen.
        VoidError: It does not go on.
    """
    gate.await_listening()

    def status() -> dict[str, Any]:
        with urllib.request.urlopen(f"{gate.metrics}/status", timeout=30) as reply:
            return dict(json.load(reply))

    until_loaded(status, manifests)
    gate.await_ready()


def until_loaded(
    status: Callable[[], dict[str, Any]],
    manifests: int,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until ``/status`` is that of a ready gate with so many manifests.

    Args:
        status: Returns the document at ``/status``; raises ``OSError`` where the gate has ended.
        manifests: The least number.
        clock: Returns seconds.
        sleep: Waits for some seconds.

    Raises:
        OSError: The gate has ended.
        VoidError: Nothing changed for ``_STALLED_SECONDS``; with what the gate lacks.
    """
    last, changed = None, clock()
    while True:
        found = status()
        evidence = found["evidence"]
        if found["ready"] and evidence["manifests"] >= manifests:
            return
        now = {name: evidence[name] for name in ("manifests", "waiting", "rejected")}
        if now != last:
            last, changed = now, clock()
        elif clock() - changed > _STALLED_SECONDS:
            reasons = [*found["not_ready"], *evidence["problems"], *evidence["rejections"]]
            raise VoidError(
                f"the load does not go on: {manifests} manifests expected, found {now};"
                f" the gate says: {reasons[:3] or 'nothing'}"
            )
        sleep(_LOOK_SECONDS)
