"""The one clock that decisions are made by, and whether it can be relied on.

Windows, expiry and freshness all rest on the wall clock, so whoever can move it can bring back what
has ended. Two things do not move with it: the clock that counts since boot, and the latest time
that was ever relied on, which outlives a restart. A wall clock that differs from either by more
than the skew is unreliable, and nothing is decided by it.

It becomes reliable again by itself when the jump is undone, or when wall clock and boot clock have
agreed with each other for ``SETTLE_SECONDS``: a machine that was paused is set right by a jump (a
hypervisor stops both clocks), and a restart would believe it at once. A wall clock behind the
latest time relied on is never believed, however long it goes on evenly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sidecar.core.window import rfc3339

SKEW_SECONDS = 30.0
SETTLE_SECONDS = 30.0
"""How long the two clocks must agree after a jump."""
_STEP_SECONDS = 1.0
"""Clocks that part by more than this while they settle have not agreed."""
_ANCHOR_SECONDS = 3600.0
"""How often the two clocks are compared anew: a slewed clock drifts 2 s in it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The time (aware, UTC), and why it is unreliable; empty where it is not."""

    at: datetime
    problem: str = ""


def since_boot() -> float:
    """Seconds since boot, with the time the machine slept; never set by anybody."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Clock:
    """Reads the wall clock and holds it against what cannot be set.

    Args:
        latest: The latest time relied on before this start, in seconds since the epoch.
        wall: Seconds since the epoch.
        boot: Seconds since boot.
    """

    def __init__(
        self,
        latest: float = 0.0,
        wall: Callable[[], float] = time.time,
        boot: Callable[[], float] = since_boot,
    ) -> None:
        self._wall, self._boot = wall, boot
        self._anchor = _Pair(max(wall(), latest), boot())
        self._settling: _Pair | None = None
        self._latest = latest

    @property
    def latest(self) -> float:
        """The latest time that was relied on, in seconds since the epoch; to be kept."""
        return self._latest

    def read(self) -> Reading:
        """The time now; to be read once for each decision."""
        now = _Pair(self._wall(), self._boot())
        problem = self._problem(now)
        if not problem:
            if now.boot - self._anchor.boot > _ANCHOR_SECONDS:
                self._anchor = now
            self._settling = None
            self._latest = max(self._latest, now.wall)
        return Reading(datetime.fromtimestamp(now.wall, UTC), problem)

    def _problem(self, now: _Pair) -> str:
        if now.wall < self._latest - SKEW_SECONDS:
            self._settling = None
            latest = rfc3339(datetime.fromtimestamp(self._latest, UTC).replace(microsecond=0))
            return f"the clock is behind {latest}, a time that was already relied on"
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


@dataclass(frozen=True, slots=True)
class _Pair:
    """Both clocks, read together, in seconds."""

    wall: float
    boot: float

    def ahead_of(self, earlier: _Pair) -> float:
        """How far the wall clock went ahead of the boot clock since ``earlier``."""
        return self.wall - earlier.wall - (self.boot - earlier.boot)
