"""How many bytes of bodies are decided about at once: more than that is refused, never kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sidecar.core.reasons import AdmissibilityError, Reason


class InFlightLimiter:
    """A bound on the bodies of all requests under way together.

    Args:
        most: In bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Hold ``size`` bytes for as long as the context lasts.

        Raises:
            AdmissibilityError: ``overloaded``: there is no room for them.
        """
        if self._taken + size > self._most:
            raise AdmissibilityError(Reason.OVERLOADED, "too many bytes of bodies at once")
        self._taken += size
        try:
            yield
        finally:
            self._taken -= size
