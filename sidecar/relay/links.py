"""One link for each source: follows it, and forwards what it has to every destination.

A link reports when its source was last heard. What was not heard for ``stale_seconds`` is not
served, so that a gate sees of a dead source the same with a relay as without: a reading that fails.
A relay that went on to serve what it has would count as an authority that was heard.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.destinations import evidence
from sidecar.destinations.destination import Destination
from sidecar.formats.evidence_index import BadIndexError, file_name
from sidecar.relay.repository import (
    KEPT_SECONDS,
    EarlierEditions,
    Edition,
    read_edition,
    remove_others,
    write_edition,
)
from sidecar.trust.directory_source import FolderChanges
from sidecar.trust.evidence_folder import EvidenceFolder
from sidecar.trust.evidence_mirror import EvidenceMirror
from sidecar.trust.limits import REPOSITORY
from sidecar.trust.source import Changes, Source, SourceError

_LOG = logging.getLogger("sidecar.relay")


@dataclass(slots=True)
class LinkStatus:
    """What a link last did; its fields are replaced singly.

    Attributes:
        name: Of the repository or the evidence.
        kind: ``repository`` or ``evidence``.
        heard: When the source was last read whole, monotonic seconds; None where it never was.
        read: Whether a first reading has ended, well or not.
        problem: Why the last round failed; empty where it did not.
        forwarded: How often something new was forwarded.
    """

    name: str
    kind: str
    heard: float | None = None
    read: bool = False
    problem: str = ""
    forwarded: int = 0

    @property
    def labels(self) -> tuple[str, str]:
        """Return the labels of its metrics."""
        return self.name, self.kind

    def age(self) -> float | None:
        """Return the seconds since the source was heard; None where it never was."""
        heard = self.heard
        return None if heard is None else time.monotonic() - heard


@dataclass(slots=True)
class _Round:
    """Runs one round of a link and keeps its status."""

    status: LinkStatus
    changed: Callable[[LinkStatus], None]
    _warned: bool = False

    def note_kept(self, problem: str) -> None:
        """Log once why superseded files stay at a place: it holds up nothing."""
        if problem and not self._warned:
            _LOG.warning("%s %s: %s", self.status.kind, self.status.name, problem)
            self._warned = True

    def run(self, work: Callable[[], tuple[bool, str]]) -> bool:
        """Do the work, which returns whether something is new and what failed beside."""
        news, status = False, self.status
        try:
            news, problem = work()
            status.heard = time.monotonic()
        except (SourceError, BadIndexError) as error:
            problem = str(error)
        except OSError as error:
            problem = _reason(error)
        problem = "".join(c if c.isprintable() else "?" for c in problem)
        differs, first = problem != status.problem, not status.read
        if differs:
            line = problem[: REPOSITORY.message_characters] or "is heard again"
            (_LOG.warning if problem else _LOG.info)("%s %s: %s", status.kind, status.name, line)
        status.problem, status.read = problem, True
        status.forwarded += news
        if news or differs or first:
            self.changed(status)
        return news


class RepositoryLink:
    """Forwards a repository.

    Args:
        name: Of the repository.
        source: Where it is read from.
        to: Every place that it is written to.
        changed: Called after each round.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        to: tuple[Destination, ...],
        changed: Callable[[LinkStatus], None],
    ) -> None:
        self.status = LinkStatus(name, "repository")
        self.followed: Changes = source
        self._source = source
        self._to = to
        self._round = _Round(self.status, changed)
        self._written: dict[int, Edition] = {}
        self._earlier: dict[int, EarlierEditions] = {}
        self._next_removal: dict[int, float] = {}

    def work(self) -> bool:
        """Read the source and forward what is new; returns whether something was."""
        return self._round.run(self._forward)

    def _forward(self) -> tuple[bool, str]:
        edition = read_edition(self._source)

        def write(number: int, place: Destination) -> bool:
            before = self._written.get(number)
            if before == edition:
                return False
            write_edition(place, edition, before or {})
            now, earlier = time.monotonic(), self._earlier.setdefault(number, EarlierEditions())
            if before is not None:
                earlier.add(before, now)
            if now >= self._next_removal.get(number, now):
                problem = remove_others(place, edition, earlier.names(edition, now))
                self._round.note_kept(problem)
                if problem:  # a refusal may take seconds, for which the next edition would wait
                    self._next_removal[number] = now + KEPT_SECONDS
            self._written[number] = edition
            return True

        return _each(self._to, write)


def _each(
    places: tuple[Destination, ...], write: Callable[[int, Destination], bool]
) -> tuple[bool, str]:
    """Write to every place, whatever another one does; return whether something was new.

    Raises:
        OSError: The first place, which gates are served from, cannot be written.
    """
    news, problems, first = False, list[str](), list[OSError]()
    for number, place in enumerate(places):
        try:
            news |= write(number, place)
        except OSError as error:
            problems.append(_reason(error))
            first.extend([error] if number == 0 else [])
    if first:
        raise first[0]
    return news, "; ".join(problems)


def _reason(error: OSError) -> str:
    return f"{error.filename or 'a destination'}: {error.strerror or error}"


class FolderFeed:
    """Evidence in a folder of this machine.

    Args:
        path: Of the folder.
    """

    number: int | None = None
    """Number of the listing; ``None``, as a folder has none."""

    def __init__(self, path: Path) -> None:
        self._folder = EvidenceFolder(path)
        self._sizes: dict[str, int] = {}
        self._added: dict[str, bytes] = {}
        self.followed: Changes = FolderChanges(path, note=self._folder.note)

    def read(self) -> tuple[Mapping[str, int] | None, str]:
        """Return digest → size of all files, and what could not be read."""
        found = self._folder.read()
        added = {evidence.digest_of(data): data for data in found.added}
        self._added |= added
        self._sizes |= {digest: len(data) for digest, data in added.items()}
        for digest in found.removed:
            self._sizes.pop(digest, None)
            self._added.pop(digest, None)
        return dict(self._sizes), "; ".join(found.problems)

    def load(self, digest: str) -> bytes | None:
        """Return a file that was found since ``kept``."""
        return self._added.get(digest)

    def kept(self) -> None:
        """Forget the bytes of files that are kept elsewhere now."""
        self._added.clear()


class MirrorFeed:
    """Evidence that is published elsewhere.

    Args:
        mirror: Fetches it.
        folder: The mirror's.
    """

    def __init__(self, mirror: EvidenceMirror, folder: Path) -> None:
        self._mirror = mirror
        self._folder = folder
        self.followed: Changes = mirror

    @property
    def number(self) -> int | None:
        """Number of the listing that was read last."""
        return self._mirror.number

    def read(self) -> tuple[Mapping[str, int] | None, str]:
        """Return digest → size of all files, None while there is more; and what failed beside.

        Raises:
            SourceError: The listing cannot be had.
        """
        found = self._mirror.fetch()
        if not self._mirror.heard:
            raise SourceError("; ".join(found.problems) or "another process fetches this evidence")
        return None if found.more else self._mirror.sizes(), "; ".join(found.problems)

    def load(self, digest: str) -> bytes | None:
        """Return a file that was fetched."""
        try:
            return (self._folder / file_name(digest)).read_bytes()
        except FileNotFoundError:
            return None

    def kept(self) -> None:
        """Do nothing; the mirror keeps its files."""


class EvidenceLink:
    """Forwards a set of evidence.

    Args:
        name: Of the set.
        feed: Where it is read from.
        to: Every place that it is written to, the relay's own first.
        changed: Called after each round.
    """

    def __init__(
        self,
        name: str,
        feed: FolderFeed | MirrorFeed,
        to: tuple[Destination, ...],
        changed: Callable[[LinkStatus], None],
    ) -> None:
        self.status = LinkStatus(name, "evidence")
        self.followed = feed.followed
        self._feed = feed
        self._to = to
        self._round = _Round(self.status, changed)
        self._written: dict[int, Mapping[str, int]] = {}

    def work(self) -> bool:
        """Read the source and forward what is new; returns whether something was."""
        return self._round.run(self._forward)

    def _forward(self) -> tuple[bool, str]:
        sizes, problem = self._feed.read()
        if sizes is None:
            return True, problem

        def write(number: int, place: Destination) -> bool:
            if self._written.get(number) == sizes:
                return False
            done = evidence.publish(sizes, self._load, place, number=self._feed.number)
            self._round.note_kept(done.problem)
            self._written[number] = sizes
            self._feed.kept()
            return True

        news, problems = _each(self._to, write)
        return news, "; ".join(filter(None, (problem, problems)))

    def _load(self, digest: str) -> bytes:
        data = self._feed.load(digest)
        if data is None:
            data = self._to[0].read(f"{evidence.FOLDER}/{file_name(digest)}")
        if data is None or evidence.digest_of(data) != digest:
            raise SourceError(f"{file_name(digest)}: is not there any more")
        return data
