"""Runs a program in an event loop until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import Protocol, TypeVar

_LOG = logging.getLogger("sidecar.daemon")


class Program(Protocol):
    """What listens and works from ``start`` to ``stop``."""

    async def start(self) -> None:
        """Listen and begin; returns once it listens."""
        ...

    async def stop(self) -> None:
        """Take nothing new, end what is at hand, and stop listening."""
        ...

    def summary(self) -> str:
        """Return what it does and where it listens, in one line."""
        ...


_Program = TypeVar("_Program", bound=Program)


def run_until_signal(make: Callable[[], _Program], started: Callable[[_Program], None]) -> None:
    """Make a program inside an event loop, and run it until a signal.

    Args:
        make: Called inside the loop.
        started: Called once the program listens.

    Raises:
        Exception: What ``make`` or the program's ``start`` raise.
    """

    async def serve() -> None:
        program, ended = make(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        await program.start()
        _LOG.info("%s", program.summary())
        started(program)
        try:
            await ended.wait()
        finally:
            await program.stop()

    asyncio.run(serve())
