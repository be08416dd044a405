"""Processes seen and handled by their ids."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def stalled(pid: int) -> Iterator[None]:
    """A process that does not run meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def children(parent: int, name: str) -> list[int]:
    """Process ids of a process's children of one name."""
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
    names = {int(pid): Path(f"/proc/{pid}/comm").read_text().strip() for pid in text.split()}
    return [pid for pid, comm in names.items() if comm == name]
