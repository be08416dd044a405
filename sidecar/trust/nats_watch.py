"""Follows one key of a NATS bucket: notified of changes, and polled besides.

Theory of operation. The subscription is made before an item is yielded, so a change while the
caller works leads to one more. It belongs to one connection; when that ends, one attempt to connect
is made after a pause that is spread, then one at each poll. A reading that finds a change nobody
announced means that the subscription is dead (its bucket was made again), and it is made again.
"""

from __future__ import annotations

import logging
import random
import threading
import time

from sidecar.jetstream.bucket import Bucket
from sidecar.jetstream.errors import JetStreamError
from sidecar.trust.source import Trigger

_LOG = logging.getLogger("sidecar.trust")
_LOOK_SECONDS = 0.1
_SPREAD = 0.25
_RECONNECT_SECONDS = 1.0


class NatsWatch:
    """Announces changes of one key; for one thread.

    Args:
        bucket: Where the key is.
        name: The file's name.
    """

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self._session = bucket.session
        self._name = name
        self._generation: int | None = None
        self._revision: int | None = None
        self._announced = True
        self._problem = ""

    def subscribe(self) -> None:
        """Subscribe, unless that was done over this connection."""
        if self._session.connected and self._generation == self._session.generation:
            return
        try:
            self._bucket.watch(self._name)
        except JetStreamError as error:
            self._generation = None
            if str(error) != self._problem and self._session.connected:
                _LOG.warning(
                    "following %s: no notification, only polling: %s",
                    self._session.config.url,
                    error,
                )
            self._problem = str(error)
        else:
            self._generation, self._problem = self._session.generation, ""

    def read(self, revision: int) -> None:
        """Note the revision that was read."""
        if not self._announced and self._revision is not None and revision != self._revision:
            self._generation = None
        self._revision = revision

    def wait(self, poll_seconds: float, stop: threading.Event) -> Trigger | None:
        """Wait for a change, the end of the connection or a poll; None when ``stop`` is set."""
        until = time.monotonic() + poll_seconds * random.uniform(1 - _SPREAD, 1)  # noqa: S311
        changed = self._session.changed
        while not stop.is_set():
            left = until - time.monotonic()
            if left <= 0:
                self._announced = False
                return Trigger.POLL
            if not changed.wait(min(left, _LOOK_SECONDS)):
                continue
            changed.clear()
            self._announced = True
            if self._session.connected or self._generation is None:
                return Trigger.CHANGE
            self._generation = None
            # Spread, so that many gates do not come back to a server at one moment.
            pause = random.uniform(0, min(poll_seconds, _RECONNECT_SECONDS))  # noqa: S311
            return None if stop.wait(pause) else Trigger.START
        return None
