"""Keeps what an account is asked with from one round to the next.

Opening a client of AWS takes a tenth of a second of processor time and logs where its credentials
are from. While the provider does not answer at all, another client would not be answered either.
Whatever else it refuses may be for a credential that was exchanged since, which only a new
client reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from sidecar.binding.source import SourceError, UnansweredError


class Closable(Protocol):
    """What is kept."""

    def close(self) -> None:
        """Close its connections."""
        ...


S = TypeVar("S", bound=Closable)


class KeptSource(Generic[S]):
    """One source of one thread, opened when it is first used.

    Args:
        open_source: Opens it.
    """

    def __init__(self, open_source: Callable[[], S]) -> None:
        self._open = open_source
        self._source: S | None = None

    def get(self) -> S:
        """Return the source, opened unless it is already."""
        if self._source is None:
            self._source = self._open()
        return self._source

    @contextmanager
    def asked(self) -> Iterator[S]:
        """Yield the source; a refusal closes it, and the lack of an answer does not."""
        try:
            yield self.get()
        except UnansweredError:
            raise
        except SourceError:
            self.close()
            raise

    def close(self) -> None:
        """Close the source; the next use opens another."""
        source, self._source = self._source, None
        if source is not None:
            source.close()
