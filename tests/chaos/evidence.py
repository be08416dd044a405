"""Evidence that a run's gate fetches over its transport, and what is served in its place.

A gate fetches a file once. So a fault first takes one file off the listing, until the gate may have
dropped it, and then lists it again and serves something else under its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from random import Random

from sidecar.formats import evidence_index
from sidecar.formats.evidence_index import INDEX_FILE, MAX_NUMBER, EvidenceIndex, file_name

Files = dict[str, bytes]
PLACE = "shared/evidence"
_ENDLESS_BYTES = 4 << 20


def published(number: int, evidence: Iterable[bytes]) -> Files:
    """Return a set of evidence as it is published, its listing last."""
    named = {hashlib.sha256(data).hexdigest(): data for data in evidence}
    index = EvidenceIndex(number, {digest: len(data) for digest, data in named.items()})
    files = {file_name(digest): data for digest, data in named.items()}
    return files | {INDEX_FILE: evidence_index.write(index)}


def _instead(files: Files, victim: str, data: bytes) -> Files:
    return files | {victim: data, INDEX_FILE: files[INDEX_FILE]}


Fault = Callable[[Files, Files, str, Random], Files]
"""What is served, of: the newest set, one without the victim before it, the victim, a draw."""

FAULTS: dict[str, Fault] = {
    "truncates a file": lambda new, _, victim, random: _instead(
        new, victim, new[victim][: random.randrange(len(new[victim]))]
    ),
    "sends an endless file": lambda new, _, victim, __: _instead(
        new, victim, new[victim] + b" " * _ENDLESS_BYTES
    ),
    "sends another file": lambda new, _, victim, random: _instead(
        new, victim, random.choice([data for name, data in sorted(new.items()) if name != victim])
    ),
    "loses a file": lambda new, _, victim, __: {n: d for n, d in new.items() if n != victim},
    "replays an old listing": lambda new, old, _, __: new | {INDEX_FILE: old[INDEX_FILE]},
    "truncates the listing": lambda new, _, __, random: _instead(
        new, INDEX_FILE, new[INDEX_FILE][: random.randrange(len(new[INDEX_FILE]))]
    ),
    "sends an endless listing": lambda new, _, __, ___: _instead(
        new, INDEX_FILE, new[INDEX_FILE] + b" " * _ENDLESS_BYTES
    ),
    "announces the highest number": lambda new, _, __, ___: (
        new | {INDEX_FILE: published(MAX_NUMBER, ())[INDEX_FILE]}
    ),
    "serves nothing": lambda _, __, ___, ____: {},
}
