"""Publishes a set of evidence with its listing: files first, the listing last."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sidecar.destinations.destination import EVIDENCE, Destination
from sidecar.formats import evidence_index
from sidecar.formats.evidence_index import INDEX_FILE, EvidenceIndex, file_name

FOLDER = EVIDENCE
LISTING = f"{EVIDENCE}/{INDEX_FILE}"
_COPY = re.compile(r"([0-9a-f]{64})\.json")

Advance = Callable[[int, int], None]
"""Called with the files that are done and the number of all."""


@dataclass(frozen=True, slots=True)
class Copied:
    """What a publication did.

    Attributes:
        version: Of the timestamp, or the number of the listing.
        files: How many the place holds for readers now.
        written: How many of them were written.
        removed: How many were removed that readers have no use for any more.
        problem: Why others were not; empty where nothing was in the way.
    """

    version: int
    files: int
    written: int
    removed: int = 0
    problem: str = ""


def digest_of(data: bytes) -> str:
    """Return the hex SHA-256 that names a file."""
    return hashlib.sha256(data).hexdigest()


def read_listing(to: Destination) -> EvidenceIndex | None:
    """Return what a place lists; None where it lists nothing.

    Raises:
        BadIndexError: What is there is no listing.
        OSError: It cannot be read.
    """
    data = to.read(LISTING)
    return None if data is None else evidence_index.read(data)


def publish(
    files: Mapping[str, int],
    load: Callable[[str], bytes],
    to: Destination,
    advance: Advance = lambda _done, _all: None,
    number: int | None = None,
) -> Copied:
    """Make the set of evidence that a place lists exactly these files.

    A file whose name is there with its size is not written again: the name is its digest. Files
    that the listing before named stay until the next publication, for readers that are in the
    middle of a reading. A place that lets no file be removed is a problem of the result.

    Args:
        files: Hex SHA-256 → size in bytes.
        load: Returns the bytes of a digest.
        to: The place.
        advance: See ``Advance``.
        number: Of the listing, where it forwards another one; None for the next.

    Raises:
        ChangedError: Someone else published there meanwhile.
        BadIndexError: What is there is no listing.
        OSError: The place cannot be read or written.
    """
    before = read_listing(to)
    there = to.sizes(EVIDENCE)
    written = 0
    for done, (digest, size) in enumerate(sorted(files.items()), start=1):
        if there.get(file_name(digest)) != size:
            to.write(f"{EVIDENCE}/{file_name(digest)}", load(digest))
            written += 1
        advance(done, len(files))
    changed = before is None or before.files != files or number not in {None, before.number}
    if number is None:
        number = (0 if before is None else before.number) + (1 if changed else 0)
    if changed:
        to.replace(LISTING, evidence_index.write(EvidenceIndex(number, files)))
    listed = {*files, *(before.files if before is not None else ())}
    removed, problem = 0, ""
    try:
        for name in there:
            found = _COPY.fullmatch(name)
            if found is not None and found[1] not in listed:
                to.remove(f"{EVIDENCE}/{name}")
                removed += 1
    except OSError as error:
        reason = f"{error.filename or 'the place'}: {error.strerror or error}"
        problem = f"files that nothing lists any more could not be removed: {reason}"
    return Copied(number, len(files), written + changed, removed, problem)
