"""Copies one edition of a TUF repository, whole or not at all, without judging it.

Theory of operation. The names in an edition follow from its timestamp: snapshot, targets, the
delegated roles, the documents. They are read in this order and written in the other, the timestamp
last, as by ``admit publish``. Lengths and digests that the edition itself lists are compared, so
that no mixture of two editions is forwarded; signatures, expiry and versions are the gates'
business. Everything is read again in each round: what a source that lied has left behind is
replaced by what it says now, and nothing keeps a relay from following a source back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tuf.api.exceptions import LengthOrHashMismatchError, RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from sidecar.destinations.destination import METADATA, TARGETS, TIMESTAMP, Destination
from sidecar.trust.limits import REPOSITORY
from sidecar.trust.source import Source, SourceError, SourceMissingError

MAX_ROLES = 16
MAX_DOCUMENTS = 64
MAX_EDITION_BYTES = 1 << 25
KEPT_EDITIONS = 16
KEPT_SECONDS = 3600.0
_ROOTS = re.compile(rf"{METADATA}/[0-9]+\.root\.json")
_FILES = re.compile(rf"{METADATA}/[0-9]+\.[^/]+\.json|{TARGETS}/[0-9a-f]{{64}}\.[^/]+")
_Kind = TypeVar("_Kind", bound=Signed)

Edition = Mapping[str, bytes]
"""Name → bytes of everything that readers of one timestamp need, in the order of writing."""


def read_edition(source: Source) -> Edition:
    """Read what the source's timestamp names.

    Raises:
        SourceError: A file cannot be had, is too large, or does not go with the others.
    """
    timestamp = source.fetch(TIMESTAMP, REPOSITORY.timestamp)
    metadata: dict[str, bytes] = {}
    documents: dict[str, bytes] = {}
    entry = _parsed(TIMESTAMP, timestamp, Timestamp).snapshot_meta
    name, data = _metadata(source, entry, "snapshot", REPOSITORY.snapshot)
    metadata[name] = data
    snapshot = _parsed(name, data, Snapshot)
    if len(snapshot.meta) > MAX_ROLES:
        raise SourceError(f"{name}: lists more than {MAX_ROLES} roles")
    for role_file, listed in sorted(snapshot.meta.items()):
        role = role_file.removesuffix(".json")
        name, data = _metadata(source, listed, role, REPOSITORY.targets)
        metadata[name] = data
        documents |= _documents(source, name, _parsed(name, data, Targets))
    found = documents | dict(reversed(metadata.items())) | dict(_roots(source))
    if sum(map(len, found.values())) > MAX_EDITION_BYTES:
        raise SourceError(f"the repository is larger than {MAX_EDITION_BYTES} bytes")
    return found | {TIMESTAMP: timestamp}


def _roots(source: Source) -> Iterator[tuple[str, bytes]]:
    """Yield the chain of roots from the first one."""
    for version in range(1, REPOSITORY.roots + 2):
        name = f"{METADATA}/{version}.root.json"
        try:
            data = source.fetch(name, REPOSITORY.root)
        except SourceMissingError:
            if version == 1:
                raise
            return
        if not _parsed(name, data, Root).consistent_snapshot:
            raise SourceError(f"{name}: has no consistent snapshots, which a relay needs")
        yield name, data


def _metadata(source: Source, entry: MetaFile, role: str, limit: int) -> tuple[str, bytes]:
    name = f"{METADATA}/{entry.version}.{role}.json"
    data = source.fetch(name, limit)
    try:
        entry.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        raise SourceError(f"{name}: does not go with what lists it") from error
    return name, data


def _documents(source: Source, listing: str, targets: Targets) -> Mapping[str, bytes]:
    if len(targets.targets) > MAX_DOCUMENTS:
        raise SourceError(f"{listing}: lists more than {MAX_DOCUMENTS} documents")
    found = {}
    for path, entry in sorted(targets.targets.items()):
        digest = entry.hashes.get("sha256")
        if digest is None or "/" in path:
            raise SourceError(f"{listing}: lists {path!r}, which is not a document with a SHA-256")
        name = f"{TARGETS}/{digest}.{path}"
        data = source.fetch(name, REPOSITORY.document)
        if hashlib.sha256(data).hexdigest() != digest:
            raise SourceError(f"{name}: its bytes have another digest")
        found[name] = data
    return found


def _parsed(name: str, data: bytes, kind: type[_Kind]) -> _Kind:
    try:
        signed: Any = Metadata.from_bytes(data).signed
    except (DeserializationError, RepositoryError, ValueError, RecursionError) as error:
        raise SourceError(f"{name}: is no TUF metadata") from error
    if not isinstance(signed, kind):
        raise SourceError(f"{name}: is TUF metadata of another role")
    return signed


def write_edition(to: Destination, edition: Edition, there: Edition) -> None:
    """Write what differs from what is there, the timestamp last.

    Args:
        to: The place.
        edition: What is forwarded.
        there: What the place holds, as far as is known.

    Raises:
        OSError: The place cannot be written; readers find the edition before.
    """
    for name, data in edition.items():
        if there.get(name) != data:
            to.write(name, data)


@dataclass(slots=True)
class EarlierEditions:
    """Which files of earlier editions stay at a place, for readers that are in the middle of one.

    Those of the last ``KEPT_EDITIONS``, for ``KEPT_SECONDS``, up to ``MAX_EDITION_BYTES`` together:
    a source that never rests fills no disk. Known to this process alone.
    """

    _before: list[tuple[float, Mapping[str, int]]] = field(default_factory=list)

    def add(self, edition: Edition, now: float) -> None:
        """Note an edition that another one has replaced at ``now``, monotonic seconds."""
        sizes = {name: len(data) for name, data in edition.items()}
        if self._before and self._before[0][1] == sizes:
            return  # noted in a round that failed afterwards
        self._before = [(now, sizes), *self._before][:KEPT_EDITIONS]

    def names(self, edition: Edition, now: float) -> frozenset[str]:
        """Return the names of the files that stay beside those of the edition."""
        found: dict[str, int] = {}
        for replaced, sizes in self._before:
            both = found | {name: size for name, size in sizes.items() if name not in edition}
            if now - replaced >= KEPT_SECONDS or sum(both.values()) > MAX_EDITION_BYTES:
                break
            found = both
        return frozenset(found)


def remove_others(to: Destination, edition: Edition, stay: frozenset[str]) -> str:
    """Remove the files of a repository that neither the edition has nor readers look for.

    A root that the source took back goes at once: a gate would fail at it for as long as it is
    there. What is no file of a TUF repository stays.

    Returns:
        Why superseded files could not be removed; empty where nothing was in the way.

    Raises:
        OSError: A root could not be removed.
    """
    try:
        there = [f"{folder}/{file}" for folder in (METADATA, TARGETS) for file in to.names(folder)]
        names = [name for name in there if _FILES.fullmatch(name) and name not in edition]
        roots = [name for name in names if _ROOTS.fullmatch(name)]
    except OSError as error:
        return _reason(error)
    for name in roots:
        to.remove(name)
    try:
        for name in names:
            if name not in stay and not _ROOTS.fullmatch(name):
                to.remove(name)
    except OSError as error:
        return _reason(error)
    return ""


def _reason(error: OSError) -> str:
    return f"superseded files stay: {error.filename or 'a destination'}: {error.strerror or error}"
