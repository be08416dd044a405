"""Removes what only superseded editions of a repository name, at a home and where it is published.

Theory of operation. Each withdrawal makes a document with all withdrawals before it, so files that
nobody reads any more grow with the square of their number. A reader that took a timestamp may still
look for what that names, and a cache may hold an older timestamp for a while. So of each role the
newest ``KEPT_EDITIONS`` versions stay, and each one that was superseded less than ``KEPT_SECONDS``
ago, together with every document that one of them names. When a version was superseded is when the
next one was written, by the clock of the place alone: it is compared with when the place's own
timestamp was written.

Whatever the home has not signed stays: a document goes only where superseded targets metadata of
the home names it. Roots are never removed. Documents go before the metadata that names them, so an
interrupted removal goes on with the next one. A place that refuses is a problem of the removal and
never of the publication: readers have the newest edition, which has every withdrawal.
"""

from __future__ import annotations

import errno
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Targets
from tuf.api.serialization import DeserializationError

from sidecar.authority.keys import TRUST_DOMAINS
from sidecar.authority.repository import Published
from sidecar.destinations.destination import METADATA, TARGETS, TIMESTAMP, Destination
from sidecar.destinations.directory import DirectoryDestination

KEPT_EDITIONS = 16
KEPT_SECONDS = 3600.0
_SNAPSHOT, _TARGETS = "snapshot", "targets"
_LISTING = (_TARGETS, TRUST_DOMAINS)
"""The roles whose metadata names documents; a home keeps it: what it publishes over is among it."""
_VERSION = re.compile(rf"([1-9][0-9]{{0,17}})\.({_SNAPSHOT}|{_TARGETS}|{TRUST_DOMAINS})\.json")
_DOCUMENT = re.compile(r"[0-9a-f]{64}\.[^/]+")

Versions = Mapping[str, int]
"""Role → the version of its metadata that an edition names."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal did.

    Attributes:
        files: How many files were removed.
        problem: Why others were not; empty where nothing was in the way.
    """

    files: int = 0
    problem: str = ""


def versions(published: Published) -> Versions:
    """Return the versions of the metadata that an edition names."""
    found = {
        _SNAPSHOT: published.snapshot.signed.version,
        _TARGETS: published.targets.signed.version,
    }
    if published.delegated is not None:
        found[TRUST_DOMAINS] = published.delegated.signed.version
    return found


def remove(place: Destination, signed: Path, current: Versions) -> Removed:
    """Remove what only superseded editions name; problems are returned, not raised.

    Args:
        place: Where the edition is published, its timestamp included. Where it is the home's own
            folder, what the home must keep stays.
        signed: The home's folder of metadata, with all targets metadata that it ever signed.
        current: What the edition names.
    """
    files = 0
    try:
        stays = frozenset(_LISTING) if _is_home(place, signed) else frozenset[str]()
        for name in _superseded(place, signed, current, stays):
            place.remove(name)
            files += 1
    except OSError as error:
        reason = f"{error.filename or 'the place'}: {error.strerror or error}"
        return Removed(files, f"files of superseded editions could not be removed: {reason}")
    return Removed(files)


def _is_home(place: Destination, signed: Path) -> bool:
    """Return whether a place is the home's folder, by whatever name."""
    if not isinstance(place, DirectoryDestination):
        return False
    return (place.folder / METADATA).samefile(signed)


def _superseded(
    place: Destination, signed: Path, current: Versions, stays: frozenset[str]
) -> list[str]:
    """Return the names of files to remove, in the order in which to do it."""
    there: dict[str, list[int]] = {role: [] for role in current}
    for name in place.names(METADATA):
        found = _VERSION.fullmatch(name)
        if found is not None and found[2] in there:
            there[found[2]].append(int(found[1]))
    now = place.written(TIMESTAMP)
    old = {
        role: _old(place, role, sorted(there[role]), version, now)
        for role, version in current.items()
    }
    metadata = [_name(role, version) for role in old if role not in stays for version in old[role]]
    if not metadata:
        return []
    kept = {
        document
        for role in _LISTING
        for version in set(there.get(role, ())) - set(old.get(role, ()))
        for document in _documents(_name(role, version), _read(place, signed, role, version))
    }
    unnamed = {name for name in place.names(TARGETS) if _DOCUMENT.fullmatch(name)} - kept
    documents = _signed(signed, old, unnamed)
    return [*(f"{TARGETS}/{name}" for name in sorted(documents)), *metadata]


def _old(
    place: Destination, role: str, there: list[int], current: int, now: float
) -> tuple[int, ...]:
    """Return the versions that no reader can be looking for any more.

    Args:
        place: Where they are.
        role: Of the metadata.
        there: All versions at the place, ascending.
        current: The version in force.
        now: When the place's timestamp was written.
    """
    candidates = [v for v in there[:-KEPT_EDITIONS] if v < current]
    # Versions are written in their order: few of them need to be asked about.
    count = bisect_right(
        range(len(candidates)),
        now - KEPT_SECONDS,
        key=lambda index: place.written(_name(role, there[index + 1])),
    )
    return tuple(candidates[:count])


def _name(role: str, version: int) -> str:
    return f"{METADATA}/{version}.{role}.json"


def _read(place: Destination, signed: Path, role: str, version: int) -> bytes:
    """Return metadata as the home signed it, or as another copy of the home published it."""
    path = signed / f"{version}.{role}.json"
    data = path.read_bytes() if path.is_file() else place.read(_name(role, version))
    if data is None:
        raise OSError(errno.ENOENT, "was removed by someone else", _name(role, version))
    return data


def _documents(name: str, data: bytes) -> frozenset[str]:
    """Return the file names of the documents that targets metadata lists.

    Raises:
        OSError: It is no targets metadata.
    """
    try:
        listed = Metadata[Targets].from_bytes(data).signed
    except (DeserializationError, RepositoryError):
        listed = None
    if not isinstance(listed, Targets):
        raise OSError(errno.EBADMSG, "is no TUF targets metadata; remove it", name)
    return frozenset(f"{file.hashes.get('sha256')}.{name}" for name, file in listed.targets.items())


def _signed(signed: Path, old: Mapping[str, Iterable[int]], unnamed: set[str]) -> frozenset[str]:
    """Return those of some documents that superseded metadata of the home names."""
    found: set[str] = set()
    metadata = [(version, role) for role in _LISTING for version in old.get(role, ())]
    for version, role in sorted(metadata, reverse=True):
        if found == unnamed:
            break
        path = signed / f"{version}.{role}.json"
        if path.is_file():
            found |= _documents(path.name, path.read_bytes()) & unnamed
    return frozenset(found)
