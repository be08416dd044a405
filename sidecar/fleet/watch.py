"""Reads the statuses of a fleet again and again, until it is closed.

A gate that hangs holds up no other: those of which the last reading had no status are asked by
threads of their own, so that a hundred unreachable gates do not delay what ten thousand others say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from sidecar.fleet.fleet_file import PinnedGate
from sidecar.fleet.reading import ASKERS, GateReading, read_gate

AGAIN_SECONDS = 0.5
"""How long after its last reading a gate is asked again."""


class FleetWatch:
    """The gates that are still asked, and when each is asked next."""

    def __init__(
        self,
        gates: Iterable[PinnedGate],
        *,
        read: Callable[[PinnedGate], GateReading] = read_gate,
        again_seconds: float = AGAIN_SECONDS,
        askers: int = ASKERS,
    ) -> None:
        """Begin with all gates due, and none asked yet."""
        self._read = read
        self._again_seconds = again_seconds
        self._due = dict.fromkeys(gates, 0.0)
        self._asked: dict[Future[GateReading], PinnedGate] = {}
        self._silent: set[PinnedGate] = set()
        self._answering = ThreadPoolExecutor(askers)
        self._hanging = ThreadPoolExecutor(askers)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        """Ask no gate any more, and wait for none that is being asked."""
        for pool in (self._answering, self._hanging):
            pool.shutdown(wait=False, cancel_futures=True)

    def leave(self, gate: PinnedGate) -> None:
        """Ask a gate no more."""
        self._due.pop(gate, None)

    def read(self, seconds: float) -> list[GateReading]:
        """Ask the gates that are due, and return what is read within some seconds.

        Returns earlier once every gate that was asked has been read.
        """
        now = time.monotonic()
        self._ask(now)
        if not self._asked:
            time.sleep(max(0.0, min(seconds, min(self._due.values(), default=now) - now)))
            self._ask(time.monotonic())
        done = wait(self._asked, max(0.0, now + seconds - time.monotonic())).done
        return [self._note(each) for each in done]

    def _ask(self, now: float) -> None:
        for gate in [gate for gate, due in self._due.items() if due <= now]:
            del self._due[gate]
            pool = self._hanging if gate in self._silent else self._answering
            self._asked[pool.submit(self._read, gate)] = gate

    def _note(self, future: Future[GateReading]) -> GateReading:
        """Note when a gate is asked again, and by which threads."""
        gate, found = self._asked.pop(future), future.result()
        self._due[gate] = time.monotonic() + self._again_seconds
        (self._silent.add if found.statement is None else self._silent.discard)(gate)
        return found
