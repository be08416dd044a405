"""Limits the rate at which all uploads together are read.

A client on the same host, or with a fast network, sends hundreds of megabytes per second, and
copying them would take most of the event loop that also decides small requests. A stream that waits
reads nothing meanwhile, so HTTP/2 flow control slows its sender, and nothing is buffered.
"""

from __future__ import annotations

import asyncio


class RateLimiter:
    """Limits all streams together to a rate, in order of arrival.

    Args:
        per_second: The rate in bytes per second.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._free = 0.0

    async def keep(self, size: int) -> None:
        """Wait for the bytes admitted before, then reserve the time of ``size`` bytes."""
        now = asyncio.get_running_loop().time()
        turn = max(now, self._free)
        self._free = turn + size / self._per_second
        if turn > now:
            await asyncio.sleep(turn - now)
