"""Evidence over HTTPS: ``index.json`` and the files beside it."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace

from sidecar.formats import evidence_index
from sidecar.formats.evidence_index import INDEX_FILE, BadIndexError, EvidenceIndex, file_name
from sidecar.trust.http_changing import ChangingFile
from sidecar.trust.http_client import LIMITS, HttpClient
from sidecar.trust.http_connection import HttpLimits
from sidecar.trust.limits import EVIDENCE
from sidecar.trust.source import SourceError, Trigger
from sidecar.trust.source_config import HttpsSourceConfig

_INDEX_TIMES_TOTAL = 3
"""A listing of 200,000 files has 15 MB: it may take longer than a single file."""


class HttpsEvidence:
    """Evidence below a URL; see ``evidence_mirror.RemoteEvidence``."""

    def __init__(self, config: HttpsSourceConfig, limits: HttpLimits = LIMITS) -> None:
        self._config = config
        self._limits = limits
        slower = replace(limits, total=limits.total * _INDEX_TIMES_TOTAL)
        self._listing = HttpClient(config, slower)
        self._changing = ChangingFile(self._listing, INDEX_FILE)
        self._idle: queue.SimpleQueue[HttpClient] = queue.SimpleQueue()
        self._stop = threading.Event()

    def stop_with(self, stop: threading.Event) -> None:
        """End attempts soon after ``stop`` is set."""
        self._stop = stop
        self._listing.stop_with(stop)

    def index(self) -> EvidenceIndex | None:
        """Fetch the listing; None where the server answers that it did not change."""
        data = self._changing.fetch(EVIDENCE.index)
        if data is None:
            return None
        try:
            return evidence_index.read(data)
        except BadIndexError as error:
            self._changing.forget()
            raise SourceError(f"{INDEX_FILE}: {error}") from error

    def fetch(self, digest: str, size: int) -> bytes:
        """Fetch one file, over one of the connections that are kept."""
        try:
            client = self._idle.get_nowait()
        except queue.Empty:
            client = HttpClient(self._config, self._limits)
        client.stop_with(self._stop)
        try:
            answer = client.get(file_name(digest), size)
        finally:
            self._idle.put(client)
        return answer.data or b""

    def wait(self, poll_seconds: float, stop: threading.Event) -> Trigger | None:
        """Wait for a change that the server announces, or the next poll."""
        return self._changing.wait(poll_seconds, stop)

    def close(self) -> None:
        """Close every connection."""
        self._listing.close()
        while not self._idle.empty():
            self._idle.get_nowait().close()
