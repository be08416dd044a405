"""Publishes what a home signs to where gates read it, again and again, as it changes.

Theory of operation. A round compares the home's timestamp and the files that are handed out with
what it published last, and publishes as ``admit publish --to`` does where one of them differs:
files first, the listing or the timestamp last, so that readers find the state before or the one
after, whenever a binder is killed. A place of another authority is not touched. Evidence goes
first, since a binding that replaces another has to be there when the older one is withdrawn; the
repository goes even where evidence cannot, since a withdrawal waits for nothing. Nothing is
remembered on disk: a binder that starts publishes what is not there yet.
"""

from __future__ import annotations

import hashlib
import logging
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from sidecar.authority import publishing
from sidecar.authority.home import Home
from sidecar.binder import library
from sidecar.destinations.destination import TIMESTAMP
from sidecar.destinations.place_config import PlaceConfig
from sidecar.observe.json_lines import event

log = logging.getLogger("sidecar.binder")

COMPARED_SECONDS = 3600.0
"""After this long a place is compared with the home though nothing changed here."""


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
    """

    def __init__(self, home: Home, out: Path, place: PlaceConfig) -> None:
        self.name = home.name
        self._home = home
        self._out = out
        self._place = place
        self._last: _Published | None = None
        self._compared = 0.0

    def round(self) -> None:
        """Publish what changed since the last round that succeeded.

        Raises:
            AuthorityError: The place holds something else, or cannot be written now.
            OSError: The home or the folder cannot be read.
        """
        files = library.handed_out(self._out)
        digests = frozenset(hashlib.sha256(data).hexdigest() for data in files)
        now = _Published(self._timestamp(), digests)
        if now == self._last and time.monotonic() - self._compared < COMPARED_SECONDS:
            return
        with closing(self._place.open()) as place:
            publishing.check_place(self._home, place)
            try:
                if files:
                    publishing.publish_evidence(files, place)
            finally:
                publishing.publish_repository(self._home, place)
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

    def _timestamp(self) -> str:
        data = (self._home.repository / TIMESTAMP).read_bytes()
        return hashlib.sha256(data).hexdigest()
