"""The one clock that decisions are made by, and whether it can be believed.

Windows, expiry and freshness all rest on the wall clock, so whoever can move it can bring back what
has ended. Two things do not move with it: the clock that counts since boot, and the latest time
that was ever relied on, which outlives a restart. A wall clock that leaves either by more than the
skew is not believed, and nothing is decided until it has come back.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sidecar.core.window import rfc3339

SKEW_SECONDS = 30.0
_ANCHOR_SECONDS = 3600.0
"""How often the two clocks are laid beside each other anew: a slewed clock drifts 2 s in it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The time (aware, UTC), and why it is not to be believed; empty where it is."""

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
        self._anchor = (max(wall(), latest), boot())
        self._latest = latest

    @property
    def latest(self) -> float:
        """The latest time that was believed, in seconds since the epoch; to be kept."""
        return self._latest

    def read(self) -> Reading:
        """The time now; to be read once for each decision."""
        wall, boot = self._wall(), self._boot()
        at = datetime.fromtimestamp(wall, UTC)
        if wall < self._latest - SKEW_SECONDS:
            latest = rfc3339(datetime.fromtimestamp(self._latest, UTC).replace(microsecond=0))
            return Reading(at, f"the clock is behind {latest}, a time that was already relied on")
        anchored, since = self._anchor
        ahead = wall - anchored - (boot - since)
        if abs(ahead) > SKEW_SECONDS:
            return Reading(
                at, f"the clock has jumped by {ahead:+.0f} s against the time since boot"
            )
        if boot - since > _ANCHOR_SECONDS:
            self._anchor = (wall, boot)
        self._latest = max(self._latest, wall)
        return Reading(at)
