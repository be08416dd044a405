"""Reads the wall clock for decisions and detects when it is unreliable.

Validity windows, expiry and freshness all use the wall clock, so setting it back would revive
expired evidence. It is compared with two references that cannot be set: the clock that counts since
boot, and the latest time ever relied on, which is persisted across restarts. A wall clock that
differs from either by more than ``SKEW_SECONDS`` is unreliable, and every decision is refused.

It is reliable again when the jump is undone, or when wall clock and boot clock have advanced
together for ``SETTLE_SECONDS``: a paused machine is corrected by a jump (a hypervisor stops both
clocks), and a restart would accept it at once. A wall clock behind the latest time relied on stays
unreliable, however long it advances evenly.

A time after which all trust metadata has expired admits nothing, and is not kept as relied on: a
clock that was years ahead would otherwise be unreliable for years once it is right.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from sidecar.core.window import rfc3339

SKEW_SECONDS = 30.0
SETTLE_SECONDS = 30.0
"""How long the two clocks must agree after a jump."""
_STEP_SECONDS = 1.0
"""Largest divergence of the two clocks within ``SETTLE_SECONDS``; more restarts the period."""
_ANCHOR_SECONDS = 3600.0
"""Interval after which the reference pair is replaced: a slewed clock drifts 2 s in it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The time (aware, UTC), and why it is unreliable; empty if it is reliable."""

    at: datetime
    problem: str = ""


_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def since_boot() -> float:
    """Return seconds since boot, including suspend; this clock cannot be set."""
    return time.clock_gettime(_SINCE_BOOT)


class Clock:
    """Reads the wall clock and compares it with clocks that cannot be set.

    Args:
        latest: The latest time relied on before this start, in seconds since the epoch.
        wall: Seconds since the epoch.
        boot: Seconds since boot.
        bound: Latest time that is kept as relied on, in seconds since the epoch: the last expiry of
            any trust metadata, which changes with it.
    """

    def __init__(
        self,
        latest: float = 0.0,
        wall: Callable[[], float] = time.time,
        boot: Callable[[], float] = since_boot,
        bound: float = math.inf,
    ) -> None:
        self._wall, self._boot = wall, boot
        self.bound = bound
        self._anchor = _Pair(max(wall(), latest), boot())
        self._settling: _Pair | None = None
        self._latest = latest

    @property
    def latest(self) -> float:
        """Return the latest time relied on, in seconds since the epoch; to be persisted."""
        return self._latest

    def read(self) -> Reading:
        """Return the current time; read it once per decision."""
        now = _Pair(self._wall(), self._boot())
        problem = self._problem(now)
        if not problem:
            if now.boot - self._anchor.boot > _ANCHOR_SECONDS:
                self._anchor = now
            self._settling = None
            if now.wall <= self.bound:
                self._latest = max(self._latest, now.wall)
        return Reading(datetime.fromtimestamp(now.wall, UTC), problem)

    def _problem(self, now: _Pair) -> str:
        if now.wall < self._latest - SKEW_SECONDS:
            self._settling = None
            latest = rfc3339(datetime.fromtimestamp(self._latest, UTC).replace(microsecond=0))
            return (
                f"the clock is behind {latest}, a time that was already relied on;"
                " correct the machine's clock"
            )
        ahead = now.ahead_of(self._anchor)
        if abs(ahead) <= SKEW_SECONDS:
            return ""
        if self._settling is None or abs(now.ahead_of(self._settling)) > _STEP_SECONDS:
            self._settling = now
        left = SETTLE_SECONDS - (now.boot - self._settling.boot)
        if left <= 0:
            self._anchor = now
            return ""
        return (
            f"the clock has jumped by {ahead:+.0f} s against the time since boot; "
            f"it is relied on again after {left:.0f} s without another jump"
        )


class _Pair(NamedTuple):
    """Both clocks, read together, in seconds."""

    wall: float
    boot: float

    def ahead_of(self, earlier: _Pair) -> float:
        """Return by how many seconds the wall clock gained on the boot clock since ``earlier``."""
        return self.wall - earlier.wall - (self.boot - earlier.boot)
