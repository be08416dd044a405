"""The HTTPS source: a repository as static files on a web server or object store.

Polled: each reading asks for the next root and for ``timestamp.json``, the latter with the ETag of
the one before, so a reading without news moves a few headers. Polls are spread over the last
quarter of the interval, so that many gates do not ask at one moment. A relay is waited for instead.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from sidecar.trust.http_changing import ChangingFile
from sidecar.trust.http_client import LIMITS, HttpClient
from sidecar.trust.http_connection import HttpLimits
from sidecar.trust.source import SourceError, Trigger, check_name
from sidecar.trust.source_config import HttpsSourceConfig

TIMESTAMP = "metadata/timestamp.json"
BELIEVED_SECONDS = 60.0
"""How long answers that nothing changed are believed; then the timestamp is sent whole again."""


class HttpsSource:
    """A repository below a URL; see ``source.Source``. For one thread at a time."""

    def __init__(
        self,
        config: HttpsSourceConfig,
        limits: HttpLimits = LIMITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._sent_at = clock()
        self._client = HttpClient(config, limits)
        self._limits = limits
        self._changing = ChangingFile(self._client, TIMESTAMP)
        self._timestamp = b""
        self._until: float | None = None

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Fetch a file below the URL; see ``source.Source``."""
        check_name(name)
        if self._until is not None and time.monotonic() > self._until:
            raise SourceError(f"{name}: reading took longer than {self._limits.round:g} s")
        if name != TIMESTAMP:
            return self._client.get(name, max_bytes).data or b""
        now = self._clock()
        if now - self._sent_at >= BELIEVED_SECONDS:
            self._changing.forget()
            self._sent_at = now
        news = self._changing.fetch(max_bytes)
        if news is not None:
            self._timestamp = news
        return self._timestamp

    def changes(self, poll_seconds: float, stop: threading.Event) -> Iterator[Trigger]:
        """Yield at the start, at every poll, and at changes that a server announces."""
        self._client.stop_with(stop)
        try:
            trigger: Trigger | None = Trigger.START
            while trigger is not None:
                self._until = time.monotonic() + self._limits.round
                yield trigger
                trigger = self._changing.wait(poll_seconds, stop)
        finally:
            self._client.close()

    def close(self) -> None:
        """Close the connection; the next fetch makes another."""
        self._client.close()
