"""The listing of a published set of evidence: ``index.json``, beside ``SHA256.json`` files.

A web server or an object store cannot be listed, so what it holds is written out. The listing is as
untrusted as the transport: it decides what is fetched, never what counts. A file's name is its
digest, so no file ever changes and a listing cannot name one half-written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

INDEX_FILE = "index.json"
TYPE = "urn:admissibility:evidence-index:v1"
MAX_FILES = 200_000
MAX_NUMBER = (1 << 53) - 1
_ENTRY = re.compile(r"([0-9a-f]{64}) ([1-9][0-9]{0,9})")


class BadIndexError(Exception):
    """Not such a listing; the text is one line."""


@dataclass(frozen=True, slots=True)
class EvidenceIndex:
    """What is published.

    Attributes:
        number: Grows with each publication.
        files: Hex SHA-256 of a file's bytes → size in bytes.
    """

    number: int
    files: Mapping[str, int]


def file_name(digest: str) -> str:
    """Return the name of the file whose bytes have this hex SHA-256."""
    return f"{digest}.json"


def write(index: EvidenceIndex) -> bytes:
    """Return the bytes of ``index.json``; the same for the same content."""
    files = [f"{digest} {size}" for digest, size in sorted(index.files.items())]
    value = {"type": TYPE, "number": index.number, "files": files}
    return json.dumps(value, indent=0).encode() + b"\n"


def read(data: bytes) -> EvidenceIndex:
    """Parse ``index.json``; unknown fields are ignored.

    Raises:
        BadIndexError: Not JSON, another type, or an entry that is not ``SHA256 BYTES``.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadIndexError("is not JSON") from error
    if not isinstance(value, dict) or value.get("type") != TYPE:
        raise BadIndexError(f"is not of type {TYPE}")
    number, entries = value.get("number"), value.get("files")
    if type(number) is not int or not 0 <= number <= MAX_NUMBER:
        raise BadIndexError("number: is not an integer of at most 53 bits")
    if not isinstance(entries, list) or len(entries) > MAX_FILES:
        raise BadIndexError(f"files: is not a list of at most {MAX_FILES}")
    files: dict[str, int] = {}
    for entry in entries:
        found = _ENTRY.fullmatch(entry) if isinstance(entry, str) else None
        if found is None or files.setdefault(found[1], int(found[2])) != int(found[2]):
            raise BadIndexError(
                f"files: an entry is not 'SHA256 BYTES', or differs from another: {entry!r:.100}"
            )
    return EvidenceIndex(number, files)


MAX_POINTER = 128
LISTINGS = "listings"
"""Folder of listings that are named by digest."""


def listing_name(digest: str) -> str:
    """Return the name of the listing whose bytes have this hex SHA-256."""
    return f"{LISTINGS}/{digest}.json"


def write_pointer(listing: bytes) -> bytes:
    """Return what names a listing where it cannot be replaced in place: ``SHA256 BYTES``."""
    return f"{hashlib.sha256(listing).hexdigest()} {len(listing)}\n".encode()


def read_pointer(data: bytes) -> tuple[str, int]:
    """Parse what names a listing; returns its hex SHA-256 and size in bytes.

    Raises:
        BadIndexError: It is not ``SHA256 BYTES``.
    """
    found = _ENTRY.fullmatch(data.decode("ascii", errors="replace").strip())
    if found is None:
        raise BadIndexError("does not name a listing as 'SHA256 BYTES'")
    return found[1], int(found[2])
