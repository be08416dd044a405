"""Evidence in NATS: objects named by digest, and a key that names the newest listing.

The listing can be larger than a message, so it is an object too; the key ``index.json`` has its
digest and size, is what changes, and is watched.
"""

from __future__ import annotations

import hashlib
import threading

from sidecar.formats import evidence_index
from sidecar.formats.evidence_index import (
    INDEX_FILE,
    BadIndexError,
    EvidenceIndex,
    file_name,
    listing_name,
)
from sidecar.jetstream.bucket import Bucket
from sidecar.jetstream.config import NatsConfig
from sidecar.jetstream.errors import JetStreamError
from sidecar.jetstream.session import LIMITS, NatsLimits
from sidecar.trust.limits import EVIDENCE
from sidecar.trust.nats_watch import NatsWatch
from sidecar.trust.source import SourceError, Trigger


class NatsEvidence:
    """Evidence in a folder of a bucket; see ``evidence_mirror.RemoteEvidence``."""

    def __init__(self, config: NatsConfig, limits: NatsLimits = LIMITS) -> None:
        self._bucket = Bucket(config, limits)
        self._watch = NatsWatch(self._bucket, INDEX_FILE)
        self._newest = b""

    def stop_with(self, stop: threading.Event) -> None:
        """End attempts soon after ``stop`` is set."""
        self._bucket.session.stop_with(stop)

    def index(self) -> EvidenceIndex | None:
        """Fetch the listing; None where the key names the one returned before."""
        try:
            self._watch.subscribe()
            entry = self._bucket.get(INDEX_FILE, evidence_index.MAX_POINTER)
            self._watch.read(entry.revision)
            if entry.data == self._newest:
                return None
            self._newest = b""
            digest, size = evidence_index.read_pointer(entry.data)
            if size > EVIDENCE.index:
                raise SourceError(f"{INDEX_FILE} is larger than {EVIDENCE.index} bytes")
            data = self._bucket.get_object(listing_name(digest), size)
            if hashlib.sha256(data).hexdigest() != digest:
                raise SourceError(f"{INDEX_FILE}: its bytes have another digest")
            found = evidence_index.read(data)
        except JetStreamError as error:
            raise SourceError(str(error)) from error
        except BadIndexError as error:
            raise SourceError(f"{INDEX_FILE}: {error}") from error
        self._newest = entry.data
        return found

    def fetch(self, digest: str, size: int) -> bytes:
        """Fetch one file."""
        try:
            return self._bucket.get_object(file_name(digest), size)
        except JetStreamError as error:
            raise SourceError(str(error)) from error

    def wait(self, poll_seconds: float, stop: threading.Event) -> Trigger | None:
        """Wait for a change or the next poll."""
        return self._watch.wait(poll_seconds, stop)

    def close(self) -> None:
        """Close the connection."""
        self._bucket.close()
