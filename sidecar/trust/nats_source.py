"""The NATS source: a repository as keys of a JetStream bucket, followed by notification."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from sidecar.jetstream.bucket import Bucket
from sidecar.jetstream.config import NatsConfig
from sidecar.jetstream.errors import JetStreamError, MissingError
from sidecar.jetstream.session import LIMITS, NatsLimits
from sidecar.trust.nats_watch import NatsWatch
from sidecar.trust.source import SourceError, SourceMissingError, Trigger, check_name

TIMESTAMP = "metadata/timestamp.json"


class NatsSource:
    """A repository in a folder of a bucket; see ``source.Source``. For one thread at a time."""

    def __init__(self, config: NatsConfig, limits: NatsLimits = LIMITS) -> None:
        self._bucket = Bucket(config, limits)
        self._watch = NatsWatch(self._bucket, TIMESTAMP)
        self._limits = limits
        self._until: float | None = None

    def fetch(self, name: str, max_bytes: int) -> bytes:
        """Fetch the newest value of a key; see ``source.Source``."""
        check_name(name)
        if self._until is not None and time.monotonic() > self._until:
            raise SourceError(f"{name}: reading took longer than {self._limits.round:g} s")
        try:
            found = self._bucket.get(name, max_bytes)
        except MissingError as error:
            raise SourceMissingError(str(error)) from error
        except JetStreamError as error:
            raise SourceError(str(error)) from error
        if name == TIMESTAMP:
            self._watch.read(found.revision)
        return found.data

    def changes(self, poll_seconds: float, stop: threading.Event) -> Iterator[Trigger]:
        """Yield at the start, at every change and at every poll; see ``source.Changes``."""
        self._bucket.session.stop_with(stop)
        try:
            trigger: Trigger | None = Trigger.START
            while trigger is not None:
                self._until = time.monotonic() + self._limits.round
                self._watch.subscribe()
                yield trigger
                trigger = self._watch.wait(poll_seconds, stop)
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection; the next fetch makes another."""
        self._bucket.close()
