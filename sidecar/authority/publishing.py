"""Publishes a repository, or a set of evidence, to where gates read it from.

Theory of operation. Files whose names carry a version or a digest never change, so they are written
first, in the order in which a reader looks them up backwards, and skipped where they are there
already; the one file that changes (``timestamp.json``, ``index.json``) is written last, and only
what it names is looked for by readers. So an interrupted publication shows nothing of itself, and
the same command completes it. A numbered file with other bytes, or a newer timestamp, means that
the place belongs to another authority or another copy of the home; nothing is written then. Nor is
it where the place lists targets metadata that this home did not sign: versions alone do not show
that, because heartbeats of a stale copy overtake those of the home with the withdrawals.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Snapshot, Timestamp
from tuf.api.serialization import DeserializationError

from sidecar.authority import superseded
from sidecar.authority.errors import AuthorityError
from sidecar.authority.keys import TRUST_DOMAINS
from sidecar.authority.open_home import Home, OpenHome, locked_home
from sidecar.authority.superseded import Versions
from sidecar.destinations import evidence
from sidecar.destinations.destination import (
    METADATA,
    TARGETS,
    TIMESTAMP,
    ChangedError,
    Destination,
)
from sidecar.destinations.evidence import Advance, Copied
from sidecar.durable import locks
from sidecar.formats import evidence_index
from sidecar.formats.evidence_index import BadIndexError

LOCK_FILE = ".publishing"
_ROOT = re.compile(r"[0-9]+\.root\.json")
_ATTEMPTS = 3
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Edition:
    """What a home publishes now.

    Attributes:
        version: Of its timestamp.
        current: The versions of the metadata that it names.
        files: What readers need, by name, in the order in which it is written.
        metadata: The home's folder of metadata, in which targets metadata is never removed.
    """

    version: int
    current: Versions
    files: Mapping[str, bytes]
    metadata: Path


def publish_repository(
    home: Home, to: Destination, advance: Advance = lambda _done, _all: None
) -> Copied:
    """Copy what the authority publishes, and remove what only superseded editions name.

    The home is locked only while it is read: a withdrawal does not wait for a slow place. Two
    publications of one home come one after the other. A place that lets no file be removed is a
    problem of the result: the edition is published.

    Raises:
        AuthorityError: The place holds another authority, a newer edition or one of another copy of
            the home, or cannot be written.
    """
    with _one_at_a_time(home.path):
        edition = _edition(home)
        written = _tried(lambda: _write_all(to, edition.files, _different(to, edition), advance))
        removed = superseded.remove(to, edition.metadata, edition.current)
    return Copied(edition.version, len(edition.files), written, removed.files, removed.problem)


def check_place(home: Home, to: Destination) -> None:
    """Require that a place holds no repository, or an edition of this one.

    Raises:
        AuthorityError: It holds another authority, a newer edition or one of another copy of the
            home, or cannot be read.
    """
    edition = _edition(home)
    _tried(lambda: _different(to, edition))


def _tried(work: Callable[[], _Result]) -> _Result:
    """Retry if another publisher wrote meanwhile, from what the place holds then."""
    for left in reversed(range(_ATTEMPTS)):
        try:
            return work()
        except ChangedError as error:
            if not left:
                raise _failed(error) from error
        except OSError as error:
            raise _failed(error) from error
    raise AssertionError("unreachable")


@contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    descriptor = locks.wait_for(home / LOCK_FILE)
    try:
        yield
    finally:
        os.close(descriptor)


def _edition(home: Home) -> _Edition:
    with locked_home(home.path) as opened:
        files = _files(home, opened)
        published = opened.published
    current, version = superseded.versions(published), published.timestamp.signed.version
    return _Edition(version, current, files, home.repository / METADATA)


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


def _different(to: Destination, edition: _Edition) -> frozenset[str]:
    """Return the names of the files that the place does not hold yet.

    Raises:
        AuthorityError: It holds another authority, a newer edition, or one of another copy.
    """
    files, version = edition.files, edition.version
    there = {name: to.read(name) for name in files}
    for name, data in files.items():
        if name != TIMESTAMP and there[name] not in {None, data}:
            raise AuthorityError(
                f"{name} is there with other bytes: the place holds another authority's "
                "repository, or one that another copy of this home published; name another place, "
                "or publish from that copy"
            )
    different = frozenset(name for name, data in files.items() if there[name] != data)
    last = there[TIMESTAMP]
    if last is None:
        return different
    timestamp = _signed(Timestamp, TIMESTAMP, last)
    if timestamp.version > version or (timestamp.version == version and TIMESTAMP in different):
        raise AuthorityError(
            f"{TIMESTAMP} is there at version {timestamp.version}, and this home has version "
            f"{version}: publish from the home that is newer, or restore it; readers refuse an "
            "older version"
        )
    if TIMESTAMP in different:
        _check_descent(to, edition.metadata, timestamp)
    return different


def _check_descent(to: Destination, metadata: Path, timestamp: Timestamp) -> None:
    """Require that this home signed the targets metadata that the place lists.

    Raises:
        AuthorityError: It did not, or the place lacks its snapshot.
    """
    name = f"{METADATA}/{timestamp.snapshot_meta.version}.snapshot.json"
    snapshot = to.read(name)
    if snapshot is None:
        raise AuthorityError(
            f"{name} is not there, and {TIMESTAMP} names it: the place is damaged; remove "
            f"{TIMESTAMP} there if nobody else publishes there"
        )
    for role, listed in _signed(Snapshot, name, snapshot).meta.items():
        own = metadata / f"{listed.version}.{role}"
        digest = (listed.hashes or {}).get("sha256")
        if not own.is_file() or hashlib.sha256(own.read_bytes()).hexdigest() != digest:
            raise AuthorityError(
                f"{METADATA}/{listed.version}.{role} is there and is not one that this home "
                "signed: another copy of this home published there, and what it withdrew would be "
                "taken back; publish from that copy, or restore this home from the place (admit "
                "docs authorities)"
            )


_Kind = TypeVar("_Kind", Timestamp, Snapshot)


def _signed(kind: type[_Kind], name: str, data: bytes) -> _Kind:
    """Read metadata that is at a place; its signatures are readers' to verify."""
    try:
        found = Metadata[_Kind].from_bytes(data).signed
    except (DeserializationError, RepositoryError):
        found = None
    if not isinstance(found, kind):
        raise AuthorityError(
            f"{name} is there and is no TUF {kind.type}; remove it or name another place"
        )
    return found


def _write_all(
    to: Destination, files: Mapping[str, bytes], different: frozenset[str], advance: Advance
) -> int:
    for done, (name, data) in enumerate(files.items(), start=1):
        if name in different:
            if name == TIMESTAMP:
                to.replace(name, data)
            else:
                to.write(name, data)
        advance(done, len(files))
    return len(different)


def publish_evidence(
    files: frozenset[bytes], to: Destination, advance: Advance = lambda _done, _all: None
) -> Copied:
    """Make the set of evidence that a place lists exactly these files.

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
        return _tried(lambda: evidence.publish(sizes, named.__getitem__, to, advance))
    except BadIndexError as error:
        raise AuthorityError(
            f"{evidence.LISTING} is there and {error}; remove it or name another place"
        ) from error


def _failed(error: OSError) -> AuthorityError:
    return AuthorityError(
        f"{error.filename or 'the place'}: {error.strerror or error}; what was published before "
        "is still there: publish again"
    )
