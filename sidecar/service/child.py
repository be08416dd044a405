"""Starts one process of a gate as a fork of the supervisor, which has imported everything already.

The supervisor has one thread and uses neither gRPC nor LMDB nor an event loop, so that a fork of it
is as good as a fresh process; it starts in a few milliseconds and shares the memory of the code.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

import uvloop

from sidecar.observe.log_setup import name_process
from sidecar.service import policies_process, worker_process, writer_process
from sidecar.service.scoreboard import Role
from sidecar.service.setup import Setup
from sidecar.service.startup import StartError, start_errors

log = logging.getLogger("sidecar.service")

START_FAILED = 2
"""Exit status of a process that lacks something which the operator must provide."""
_PR_SET_PDEATHSIG = 1
_RUN: dict[Role, Callable[[Setup], Coroutine[Any, Any, None]]] = {
    Role.WRITER: writer_process.run,
    Role.POLICIES: policies_process.run,
    Role.WORKER: worker_process.run,
}


def fork(
    setup: Setup,
    role: Role,
    name: str,
    blocked: Iterable[signal.Signals],
    report: Callable[[StartError], None],
) -> int:
    """Start a process and return its id.

    Args:
        setup: What it uses.
        role: What it does.
        name: Its name in the log.
        blocked: Signals that the supervisor blocks.
        report: Tells the operator what is missing or wrong.

    Raises:
        OSError: No process can be started.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        status = _run(setup, role, name, blocked, report, parent)
    except BaseException:
        log.exception("%s failed", name)
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _run(
    setup: Setup,
    role: Role,
    name: str,
    blocked: Iterable[signal.Signals],
    report: Callable[[StartError], None],
    parent: int,
) -> int:
    os.setpgid(0, 0)  # an interrupt at the terminal reaches the supervisor alone
    _end_with(parent)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, blocked)
    name_process(name)
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(f"admit-{role.value}", encoding="ascii")
    setup.slot.take(os.getpid())
    try:
        with start_errors():
            uvloop.run(_RUN[role](setup))
    except StartError as error:
        report(error)
        return START_FAILED
    except asyncio.CancelledError:
        return 1
    return 0


def _end_with(parent: int) -> None:
    """Have the kernel send SIGTERM when the supervisor ends, however it does."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:
        os._exit(1)
