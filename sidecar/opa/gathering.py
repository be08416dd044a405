"""Computes how long questions wait for others, to be asked in one query.

A query costs OPA and the gate much the same, however many callers it answers. Callers that were
answered together ask again at about the same time, so as many are waited for as the last query
answered or left waiting, and for a bounded time after it ended. One caller alone never waits.
"""

from __future__ import annotations

GATHER_SECONDS = 0.005
"""Longest wait for others, from the end of the last query: the gate decides few calls meanwhile."""


class Gathering:
    """The callers that are expected at one OPA.

    Args:
        seconds: How long they are waited for.
    """

    __slots__ = ("_due", "_expected", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._expected = 1
        self._due = float("-inf")

    def ended(self, callers: int, now: float) -> None:
        """Note the end of a query.

        Args:
            callers: Those that it answered and those that wait.
            now: By the clock of the event loop, seconds.
        """
        self._expected = callers
        self._due = now + self._seconds

    def until(self, callers: int, now: float) -> float | None:
        """Return until when these waiting callers wait for more; ``None`` for no wait."""
        return self._due if callers < self._expected and now < self._due else None
