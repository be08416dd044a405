"""A pace that many streams keep together: the loop that moves their bytes also answers small calls.

A client on the same host, or with a fast network, sends hundreds of megabytes in a second, and
moving them would take most of the loop. Whoever is made to wait reads nothing meanwhile, so the
sender is held up by the windows of HTTP/2, and nothing is kept.
"""

from __future__ import annotations

import asyncio


class RateLimiter:
    """So many bytes in a second, of all streams, each in its turn.

    Args:
        per_second: How many.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._free = 0.0

    async def keep(self, size: int) -> None:
        """Wait until what went before has had its time, and take time for ``size`` bytes."""
        now = asyncio.get_running_loop().time()
        turn = max(now, self._free)
        self._free = turn + size / self._per_second
        if turn > now:
            await asyncio.sleep(turn - now)
