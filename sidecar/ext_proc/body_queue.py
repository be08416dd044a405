"""Lets bodies with a stated length arrive a few at a time, in order, within a bound of bytes.

What Envoy buffers for ext_authz grows with the bodies that arrive at the same time, and so does the
time until the first of them can be decided. The length is known from the head of the request, so a
body that has no room yet waits there: Envoy reads nothing of it, and the gate holds none.
"""

from __future__ import annotations

import asyncio
from collections import deque

from sidecar.core.reasons import AdmissibilityError, Reason

MAX_WAITING = 64
WAIT_SECONDS = 8.0
"""Below ``message_timeout`` (10 s) of the reference configurations, so a refusal has a reason."""


class BodyQueue:
    """Bounds the bytes of the bodies that arrive at the same time.

    Args:
        max_bytes: The bound; a longer body arrives alone.
        max_waiting: Bodies that may wait; more are refused at once.
        wait_seconds: Longest time that one waits.
    """

    def __init__(
        self,
        max_bytes: int,
        *,
        max_waiting: int = MAX_WAITING,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._max_bytes = max_bytes
        self._max_waiting = max_waiting
        self._wait_seconds = wait_seconds
        self._taken = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def taken(self) -> int:
        """Return the bytes of the bodies that are arriving."""
        return self._taken

    async def enter(self, size: int) -> None:
        """Take ``size`` bytes, after waiting for them in order of arrival.

        Raises:
            AdmissibilityError: ``overloaded``: too many wait, or there was no room in time.
        """
        if not self._waiting and self._fits(size):
            self._taken += size
            return
        if len(self._waiting) >= self._max_waiting:
            raise _overloaded(f"{self._max_waiting} large bodies wait already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (size, turn)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(self._wait_seconds):
                await turn
        except TimeoutError:
            self._give_up(entry)
            raise _overloaded(f"a large body waited {self._wait_seconds:.0f} s for room") from None
        except asyncio.CancelledError:
            self._give_up(entry)
            raise

    def leave(self, size: int) -> None:
        """Release ``size`` bytes, and let in what waits and has room now."""
        self._taken -= size
        while self._waiting and self._fits(self._waiting[0][0]):
            next_size, turn = self._waiting.popleft()
            self._taken += next_size
            turn.set_result(None)

    def _fits(self, size: int) -> bool:
        return self._taken == 0 or self._taken + size <= self._max_bytes

    def _give_up(self, entry: tuple[int, asyncio.Future[None]]) -> None:
        """Leave the queue; a turn that came at the same moment is passed on."""
        size, turn = entry
        if turn.done() and not turn.cancelled():
            self.leave(size)
            return
        self._waiting.remove(entry)
        self.leave(0)


def _overloaded(why: str) -> AdmissibilityError:
    return AdmissibilityError(Reason.OVERLOADED, f"{why}; try again later")
