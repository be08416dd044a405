"""Lets requests that arrive close together be decided one behind the other.

A request that comes by itself is decided at once. Requests that follow each other within
``CLOSE_SECONDS`` wait for each other, at most ``GATHER_SECONDS`` after the last ones began: from
the second one on, the code and data of a decision are in the processor's caches, their lines of the
decision log are one write, and their answers leave together, so that Envoy and the gate wake each
other up for many calls instead of for each. Nothing is read before that wait, neither the clock nor
the trust state, so no decision is older for it.
"""

from __future__ import annotations

import asyncio
import time

GATHER_SECONDS = 0.002
CLOSE_SECONDS = 0.0002
"""Shorter than the way back to a caller and here again, so that one caller never waits for itself;
longer, and both processors are idle while all callers wait."""


class Arrivals:
    """The requests of one event loop whose decisions have not begun.

    Args:
        most: Once so many wait, all begin; below 2, none waits.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: list[asyncio.Future[None]] = []
        self._timer: asyncio.Handle | None = None
        self._arrived = self._began = float("-inf")

    async def wait(self) -> None:
        """Return when the request is to be decided."""
        now = time.monotonic()
        alone, self._arrived = now - self._arrived > CLOSE_SECONDS, now
        if not self._waiting and (alone or self._most < 2):
            self._began = now
            return
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        if self._timer is None:
            left = self._began + GATHER_SECONDS - now
            self._timer = loop.call_later(max(0.0, left), self._begin)
        elif len(self._waiting) == self._most:
            self._timer.cancel()
            self._timer = loop.call_soon(self._begin)
        await turn

    def _begin(self) -> None:
        """Let every request that waits be decided, in order of arrival."""
        self._timer = None
        self._began = time.monotonic()
        waiting, self._waiting = self._waiting, []
        for turn in waiting:
            if not turn.done():  # Envoy may have cancelled it
                turn.set_result(None)
