"""Publishes what a home signs to where gates read it, again and again, as it changes.

Theory of operation. A round compares the home's timestamp and the files that are handed out with
what it published last, and publishes as ``admit publish --to`` does where one of them differs:
files first, the listing or the timestamp last, so that readers find the state before or the one
after, whenever a binder is killed. A place of another authority is not touched. Evidence goes
first, since a binding that replaces another has to be there when the older one is withdrawn; the
repository goes even where evidence cannot, since a withdrawal waits for nothing. Nothing is
remembered on disk: a binder that starts publishes what is not there yet. A timestamp is renewed
when half of its period is over: one that ended would stop every call that relies on the home.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sidecar.authority import home as authority
from sidecar.authority import publishing
from sidecar.authority.open_home import Home
from sidecar.binder import library
from sidecar.destinations.destination import TIMESTAMP
from sidecar.destinations.evidence import Copied
from sidecar.destinations.place_config import PlaceConfig
from sidecar.observe.json_lines import event

log = logging.getLogger("sidecar.binder")

COMPARED_SECONDS = 3600.0
"""Interval after which a place is compared with the home even if nothing changed here."""


@dataclass(frozen=True, slots=True)
class _Published:
    """What a publication consisted of: digest of the timestamp, and digests of the files."""

    timestamp: str
    files: frozenset[str]


class HomePublisher:
    """Publishes one home, and the evidence in one folder, to one place.

    Args:
        home: Its repository is published.
        out: Folder whose evidence is published; ``*.dsse.json``, at any depth.
        place: Where to.
        now: The clock.
    """

    def __init__(
        self, home: Home, out: Path, place: PlaceConfig, now: Callable[[], datetime]
    ) -> None:
        self.name = home.name
        self._home = home
        self._out = out
        self._place = place
        self._now = now
        self._warned: frozenset[str] = frozenset()
        self._last: _Published | None = None
        self._compared = 0.0
        self._warned_of_kept = False

    def round(self) -> None:
        """Renew the timestamp if that is due, and publish what changed since the last success.

        Raises:
            AuthorityError: The place holds something else, or cannot be written now; or the
                timestamp cannot be renewed, and everything else was published.
            OSError: The home or the folder cannot be read.
        """
        try:
            self._renew()
        finally:
            self._publish()

    def _renew(self) -> None:
        renewed = authority.renew(self._home, self._now())
        if renewed is None:
            return
        log.info(
            "renewed the timestamp of %s until %s",
            self.name,
            renewed.expires,
            extra=event("renewed", authority=self.name, version=renewed.version),
        )
        for text in renewed.warnings if set(renewed.warnings) - self._warned else ():
            log.warning("%s: %s", self.name, text)
        self._warned = frozenset(renewed.warnings)

    def _publish(self) -> None:
        files = library.handed_out(self._out)
        digests = frozenset(hashlib.sha256(data).hexdigest() for data in files)
        now = _Published(self._timestamp(), digests)
        if now == self._last and time.monotonic() - self._compared < COMPARED_SECONDS:
            return
        with closing(self._place.open()) as place:
            publishing.check_place(self._home, place)
            try:
                if files:
                    self._note(publishing.publish_evidence(files, place))
            finally:
                self._note(publishing.publish_repository(self._home, place))
        if now != self._last:
            log.info(
                "published %s with %d files of evidence to %s",
                self.name,
                len(files),
                self._place.name,
                extra=event(
                    "published", authority=self.name, place=self._place.name, files=len(files)
                ),
            )
        self._last, self._compared = now, time.monotonic()

    def _note(self, done: Copied) -> None:
        """Log once why superseded files stay at the place: it holds up nothing."""
        if done.problem and not self._warned_of_kept:
            log.warning("%s: %s", self._place.name, done.problem)
            self._warned_of_kept = True

    def _timestamp(self) -> str:
        data = (self._home.repository / TIMESTAMP).read_bytes()
        return hashlib.sha256(data).hexdigest()
