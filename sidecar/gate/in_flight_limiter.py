"""Limits the bytes of request bodies in flight; a request over the limit is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sidecar.core.reasons import AdmissibilityError, Reason


class InFlightLimiter:
    """Bounds the total size of the bodies of all requests in flight.

    Args:
        max_bytes: The bound.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._taken = 0

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Reserve ``size`` bytes for as long as the context lasts.

        Raises:
            AdmissibilityError: ``overloaded``: the bound would be exceeded.
        """
        if self._taken + size > self._max_bytes:
            raise AdmissibilityError(
                Reason.OVERLOADED, "too many bytes of request bodies are in flight; try again later"
            )
        self._taken += size
        try:
            yield
        finally:
            self._taken -= size
