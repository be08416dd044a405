"""The lock of the one process that writes what is verified in a state folder."""

from __future__ import annotations

import os
from pathlib import Path

from sidecar.durable import locks

NAME = "writer.lock"


class WriterLock:
    """An advisory lock (flock(2)), which the kernel releases when its holder ends.

    Args:
        state_dir: The state folder, which exists.
    """

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / NAME
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Return whether this process holds it."""
        return self._descriptor is not None

    def acquire(self) -> bool:
        """Take the lock if it is free; return whether it is held now."""
        if self._descriptor is None:
            self._descriptor = locks.take(self._path)
        return self.held

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
