"""The one file of a web server that changes: fetched with its ETag, awaited where that is served.

A server that answers ``Prefer: wait=SECONDS`` (RFC 7240 §4.3) with ``Preference-Applied`` holds a
request with ``If-None-Match`` until the file changes, as ``admit relay`` does. Then a change comes
at once; any other server is polled.
"""

from __future__ import annotations

import random
import threading
import time

from sidecar.trust.http_client import HttpClient
from sidecar.trust.source import SourceError, Trigger

_SPREAD = 0.25
_AT_ONCE_SECONDS = 0.5


class ChangingFile:
    """A file that is read again and again; for one thread at a time.

    Args:
        client: Fetches it.
        name: Of the file.
    """

    def __init__(self, client: HttpClient, name: str) -> None:
        self._client = client
        self._name = name
        self._etag: str | None = None
        self._ahead: bytes | None = None
        self._waits = False
        self._size = 0

    def fetch(self, max_bytes: int) -> bytes | None:
        """Return the file's bytes; None where they are those returned before.

        Raises:
            SourceError: They cannot be had.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is not None and len(ahead) <= max_bytes:
            return ahead
        self._size = max_bytes
        answer = self._client.get(self._name, max_bytes, self._etag, wait=0)
        self._waits = answer.waits
        if answer.data is not None:
            self._etag = answer.etag
        return answer.data

    def forget(self) -> None:
        """Fetch whatever is there the next time."""
        self._etag = self._ahead = None

    def wait(self, poll_seconds: float, stop: threading.Event) -> Trigger | None:
        """Wait for a change or the next poll; returns None when ``stop`` is set."""
        until = time.monotonic() + spread(poll_seconds)
        # The server is silent meanwhile, so it must be less than a read may take.
        longest = int(self._client.limits.step) - 1
        while self._waits and self._etag is not None and not stop.is_set():
            began = time.monotonic()
            seconds = min(int(until - began), longest)
            if seconds < 1:
                break
            try:
                answer = self._client.get(self._name, self._size, self._etag, wait=seconds)
            except SourceError:
                break
            if answer.data is not None:
                self._etag, self._ahead = answer.etag, answer.data
                return Trigger.CHANGE
            # A server that does not wait as it stated would be asked without a pause.
            self._waits = answer.waits and time.monotonic() - began > _AT_ONCE_SECONDS
        left = max(until - time.monotonic(), 0.0)
        return None if stop.wait(left) else Trigger.POLL


def spread(poll_seconds: float) -> float:
    """Return a time in the last quarter of the polling interval, in seconds."""
    return poll_seconds * random.uniform(1 - _SPREAD, 1)  # noqa: S311 - spreads load
