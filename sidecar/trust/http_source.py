"""The HTTPS source: a repository as static files on a web server or object store.

Polled: each reading asks for the next root and for ``timestamp.json``, the latter with the ETag of
the one before, so a reading without news moves a few headers. Polls are spread over the last
quarter of the interval, so that many gates do not ask at one moment.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

from sidecar.trust.http_client import LIMITS, HttpClient
from sidecar.trust.http_connection import HttpLimits
from sidecar.trust.source import SourceError, Trigger, check_name
from sidecar.trust.source_config import HttpsSourceConfig

TIMESTAMP = "metadata/timestamp.json"
_SPREAD = 0.25


class HttpsSource:
    """A repository below a URL; see ``source.Source``. For one thread at a time."""

    def __init__(self, config: HttpsSourceConfig, limits: HttpLimits = LIMITS) -> None:
        self._client = HttpClient(config, limits)
        self._limits = limits
        self._etag: str | None = None
        self._timestamp = b""
        self._until: float | None = None

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Fetch a file below the URL; see ``source.Source``."""
        check_name(name)
        if self._until is not None and time.monotonic() > self._until:
            raise SourceError(f"{name}: reading took longer than {self._limits.round:g} s")
        if name != TIMESTAMP:
            return self._data(name, max_bytes, None)
        return self._data(name, max_bytes, self._etag)

    def changes(self, poll_seconds: float, stop: threading.Event) -> Iterator[Trigger]:
        """Yield at the start and at every poll; see ``source.Changes``."""
        self._client.stop_with(stop)
        try:
            trigger = Trigger.START
            while True:
                self._until = time.monotonic() + self._limits.round
                yield trigger
                trigger = Trigger.POLL
                if stop.wait(spread(poll_seconds)):
                    return
        finally:
            self._client.close()

    def close(self) -> None:
        """Close the connection; the next fetch makes another."""
        self._client.close()

    def _data(self, name: str, max_bytes: int, etag: str | None) -> bytes:
        answer = self._client.get(name, max_bytes, etag)
        if answer.data is None:
            return self._timestamp
        if name == TIMESTAMP:
            self._etag, self._timestamp = answer.etag, answer.data
        return answer.data


def spread(poll_seconds: float) -> float:
    """Return a time in the last quarter of the polling interval, in seconds."""
    return poll_seconds * random.uniform(1 - _SPREAD, 1)  # noqa: S311 - spreads load
