"""A gate whose wall clock a run sets forth and back; the clock since boot runs on."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from admissibility_devtools.demo.gate_process import Child
from sidecar.gate.clock import Clock, since_boot
from tests.process.service.site import Running, Site
from tests.support.site.forked_gate import forked

VARIABLE = "CHAOS_CLOCK"


@dataclass(frozen=True, slots=True)
class SteppedClock:
    """By how many seconds the gate's wall clock is ahead, in a file that it reads each time."""

    path: Path

    def step(self, seconds: float) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(str(seconds))
        new.rename(self.path)


class SteppedGate(Running):
    """The real command, whose ``Clock`` reads the wall clock of a ``SteppedClock``."""

    def __init__(self, site: Site, clock: SteppedClock) -> None:
        super().__init__(site)
        self._clock = clock
        clock.step(0)

    def _launch(self, arguments: Sequence[str]) -> Child:
        path = str(self._clock.path)
        return forked(arguments, self.log, {**os.environ, VARIABLE: path}, prepare=use_the_file)


def use_the_file() -> None:
    """Let every ``Clock`` of this process read the time that the file states."""
    path = Path(os.environ[VARIABLE])

    def wall() -> float:
        return time.time() + float(path.read_text())

    Clock.__init__.__defaults__ = (0.0, wall, since_boot, math.inf)
