"""Publish a repository, or a set of evidence, to where gates read it from.

Theory of operation. Files whose names carry a version or a digest never change, so they are written
first, in the order in which a reader looks them up backwards, and skipped where they are there
already; the one file that changes (``timestamp.json``, ``index.json``) is written last, and only
what it names is looked for by readers. So an interrupted publication shows nothing of itself, and
the same command completes it. A numbered file with other bytes, or a newer timestamp, means that
the place belongs to another authority or another copy of the home; nothing is written then.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Timestamp
from tuf.api.serialization import DeserializationError

from sidecar.authority.errors import AuthorityError
from sidecar.authority.home import Home
from sidecar.authority.keys import TRUST_DOMAINS
from sidecar.authority.open_home import OpenHome, locked_home
from sidecar.durable.files import write_atomically
from sidecar.formats import evidence_index
from sidecar.formats.evidence_index import INDEX_FILE, BadIndexError, EvidenceIndex, file_name

METADATA, TARGETS, EVIDENCE = "metadata", "targets", "evidence"
TIMESTAMP = f"{METADATA}/timestamp.json"
LOCK_FILE = ".publishing"
_ROOT = re.compile(r"[0-9]+\.root\.json")
_COPY = re.compile(r"([0-9a-f]{64})\.json")

Advance = Callable[[int, int], None]
"""Called with the files that are done and the number of all."""


class Destination(Protocol):
    """Where files are published; each is replaced whole or not at all."""

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None where there is none.

        Raises:
            OSError: It cannot be read.
        """
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file that others can read.

        Raises:
            OSError: It cannot be written; what was there is still there.
        """
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names of the files that are directly in a folder, without its own."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""
        ...


@dataclass(frozen=True, slots=True)
class DirectoryDestination:
    """A folder, such as the document root of a web server; created if needed."""

    folder: Path

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None where there is none."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, data: bytes) -> None:
        """Replace a file by a rename."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data, mode=0o644)

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder."""
        place = self.folder / folder
        return [path.name for path in place.iterdir()] if place.is_dir() else []

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self.folder / name).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Copied:
    """What a publication did.

    Attributes:
        version: Of the timestamp, or the number of the listing.
        files: How many the place holds for readers now.
        written: How many of them were written.
        removed: How many were removed that nothing lists any more.
    """

    version: int
    files: int
    written: int
    removed: int = 0


def publish_repository(
    home: Home, to: Destination, advance: Advance = lambda _done, _all: None
) -> Copied:
    """Copy what the authority publishes.

    The home is locked only while it is read: a withdrawal does not wait for a slow place. Two
    publications of one home come one after the other.

    Raises:
        AuthorityError: The place holds another authority, a newer edition, or cannot be written.
    """
    with _one_at_a_time(home.path):
        with locked_home(home.path) as opened:
            files = _files(home, opened)
            version = opened.published.timestamp.signed.version
        try:
            _check_destination(to, files, version)
            written = _write_all(to, files, advance)
        except OSError as error:
            raise _failed(error) from error
    return Copied(version, len(files), written)


@contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    descriptor = os.open(home / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _files(home: Home, opened: OpenHome) -> dict[str, bytes]:
    """Return what readers need, in the order in which it is written."""
    published, folder = opened.published, home.repository
    listed = dict(published.targets.signed.targets)
    if published.delegated is not None:
        listed |= published.delegated.signed.targets
    names = [f"{TARGETS}/{file.hashes['sha256']}.{name}" for name, file in sorted(listed.items())]
    if published.delegated is not None:
        names.append(f"{METADATA}/{published.delegated.signed.version}.{TRUST_DOMAINS}.json")
    names.append(f"{METADATA}/{published.targets.signed.version}.targets.json")
    names.append(f"{METADATA}/{published.snapshot.signed.version}.snapshot.json")
    found = (path.name for path in (folder / METADATA).iterdir() if _ROOT.fullmatch(path.name))
    roots = sorted(found, key=lambda name: int(name.partition(".")[0]))
    names.extend(f"{METADATA}/{name}" for name in roots)
    names.append(TIMESTAMP)
    return {name: (folder / name).read_bytes() for name in names}


def _check_destination(to: Destination, files: Mapping[str, bytes], version: int) -> None:
    for name, data in files.items():
        if name != TIMESTAMP and to.read(name) not in {None, data}:
            raise AuthorityError(
                f"{name} is there with other bytes: the place holds another authority's "
                "repository; name another one"
            )
    there = to.read(TIMESTAMP)
    if there is None:
        return
    try:
        newest = Metadata[Timestamp].from_bytes(there).signed.version
    except (DeserializationError, RepositoryError) as error:
        raise AuthorityError(
            f"{TIMESTAMP} is there and is no TUF timestamp; remove it or name another place"
        ) from error
    if newest > version or (newest == version and there != files[TIMESTAMP]):
        raise AuthorityError(
            f"{TIMESTAMP} is there at version {newest}, and this home has version {version}: "
            "publish from the home that is newer, or restore it; readers refuse an older version"
        )


def _write_all(to: Destination, files: Mapping[str, bytes], advance: Advance) -> int:
    written = 0
    for done, (name, data) in enumerate(files.items(), start=1):
        if to.read(name) != data:
            to.write(name, data)
            written += 1
        advance(done, len(files))
    return written


def publish_evidence(
    files: frozenset[bytes], to: Destination, advance: Advance = lambda _done, _all: None
) -> Copied:
    """Make the set of evidence that a place lists exactly these files.

    Files that the listing before named stay until the next publication, for readers that are in
    the middle of a reading.

    Raises:
        AuthorityError: There is none or too much of it, what is there is not a listing, or the
            place cannot be written.
    """
    if not files:
        raise AuthorityError("no evidence was found; nothing was published")
    if len(files) > evidence_index.MAX_FILES:
        raise AuthorityError(f"{len(files)} files of evidence; a listing has at most 200,000")
    named = {hashlib.sha256(data).hexdigest(): data for data in files}
    sizes = {digest: len(data) for digest, data in named.items()}
    try:
        before = _listing(to)
        copies = {f"{EVIDENCE}/{file_name(d)}": data for d, data in sorted(named.items())}
        written = _write_all(to, copies, advance)
        changed = before is None or before.files != sizes
        number = (0 if before is None else before.number) + (1 if changed else 0)
        if changed:
            listing = evidence_index.write(EvidenceIndex(number, sizes))
            to.write(f"{EVIDENCE}/{INDEX_FILE}", listing)
        removed = _remove_unlisted(to, {*sizes, *(before.files if before is not None else ())})
    except OSError as error:
        raise _failed(error) from error
    return Copied(number, len(sizes), written + changed, removed)


def _listing(to: Destination) -> EvidenceIndex | None:
    data = to.read(f"{EVIDENCE}/{INDEX_FILE}")
    if data is None:
        return None
    try:
        return evidence_index.read(data)
    except BadIndexError as error:
        raise AuthorityError(
            f"{EVIDENCE}/{INDEX_FILE} is there and {error}; remove it or name another place"
        ) from error


def _remove_unlisted(to: Destination, listed: set[str]) -> int:
    """Remove copies that neither this listing nor the one before names."""
    removed = 0
    for name in to.names(EVIDENCE):
        found = _COPY.fullmatch(name)
        if found is not None and found[1] not in listed:
            to.remove(f"{EVIDENCE}/{name}")
            removed += 1
    return removed


def _failed(error: OSError) -> AuthorityError:
    return AuthorityError(
        f"{error.filename or 'the place'}: {error.strerror or error}; what was published before "
        "is still there: publish again"
    )
