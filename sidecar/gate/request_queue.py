"""Lets few requests be decided at a time, and the others wait in order for a bounded time.

Deciding is work of one processor, so more decisions at a time finish no sooner together. But each
one that is ready lengthens the event loop's iteration, for which all others wait, those that a
lease answers among them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sidecar.core.reasons import AdmissibilityError, Reason


class RequestQueue:
    """Bounds how many requests are decided at a time.

    Args:
        slots: The bound.
    """

    def __init__(self, slots: int) -> None:
        self._free = asyncio.Semaphore(slots)

    @asynccontextmanager
    async def slot(self, seconds: float) -> AsyncIterator[None]:
        """Hold a slot for as long as the context lasts, after waiting for it in order of arrival.

        Raises:
            AdmissibilityError: ``overloaded``: none was free within ``seconds``.
        """
        try:
            if self._free.locked():
                async with asyncio.timeout(seconds):
                    await self._free.acquire()
            else:
                await self._free.acquire()  # at once, and without a timer
        except TimeoutError:
            raise AdmissibilityError(
                Reason.OVERLOADED,
                f"the request waited {seconds:.2f} s for its turn; try again later",
            ) from None
        try:
            yield
        finally:
            self._free.release()
