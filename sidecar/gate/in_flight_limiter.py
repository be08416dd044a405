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

    @property
    def max_bytes(self) -> int:
        """Return the bound."""
        return self._max_bytes

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Reserve ``size`` bytes for as long as the context lasts.

        Raises:
            AdmissibilityError: ``overloaded``: the bound would be exceeded.
        """
        taken = self.reserve()
        taken.grow(size)
        try:
            yield
        finally:
            taken.release()

    def reserve(self) -> Reservation:
        """Return a reservation of no bytes yet, for a body whose length is not known."""
        return Reservation(self)

    def change(self, size: int) -> None:
        """Reserve ``size`` further bytes, or release as many if it is negative.

        Raises:
            AdmissibilityError: ``overloaded``: the bound would be exceeded.
        """
        if size > 0 and self._taken + size > self._max_bytes:
            raise AdmissibilityError(
                Reason.OVERLOADED, "too many bytes of request bodies are in flight; try again later"
            )
        self._taken += size


class Reservation:
    """The bytes of one body that have arrived so far."""

    def __init__(self, limiter: InFlightLimiter) -> None:
        self._limiter = limiter
        self.size = 0

    def grow(self, size: int) -> None:
        """Reserve ``size`` further bytes.

        Raises:
            AdmissibilityError: ``overloaded``: the bound would be exceeded.
        """
        self._limiter.change(size)
        self.size += size

    def release(self) -> None:
        """Release all of it; a second time has no effect."""
        size, self.size = self.size, 0
        self._limiter.change(-size)
