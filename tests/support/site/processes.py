"""Processes seen and handled by their ids."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def stop(pid: int, seconds: float = 20.0) -> None:
    """Stop a process with SIGSTOP, and return when none of its threads runs any more.

    ``kill(2)`` returns before the process has stopped: its threads run on until one of them
    takes the signal, which on a busy machine is time enough to answer a request.

    Raises:
        TimeoutError: it did not stop within ``seconds``.
    """
    os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + seconds
    while any(_state(path) not in "TZX" for path in Path(f"/proc/{pid}/task").glob("*/stat")):
        if time.monotonic() > end:
            raise TimeoutError(f"process {pid} runs {seconds} s after SIGSTOP")
        time.sleep(0.001)


def _state(path: Path) -> str:
    """State of one thread, a letter of ``proc_pid_stat(5)``: T is stopped, Z and X have ended."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except FileNotFoundError:  # a thread that ended meanwhile
        return "X"


@contextmanager
def stalled(pid: int) -> Iterator[None]:
    """A process that does not run meanwhile."""
    stop(pid)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def children(parent: int, name: str) -> list[int]:
    """Process ids of a process's children of one name; one that ends meanwhile is none."""
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
    found = []
    for pid in text.split():
        with suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                found.append(int(pid))
    return found
