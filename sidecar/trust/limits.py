"""Caps on everything that a source or a folder can deliver.

Endless data is an attack (TUF specification 1.5.2), and a signed length is no cap, since the holder
of a snapshot key can sign any length. So every read has a cap, whatever the metadata lists.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.core.documents import MAX_DOCUMENT_BYTES
from sidecar.core.dsse import MAX_ENVELOPE_BYTES


@dataclass(frozen=True, slots=True)
class RepositoryLimits:
    """Caps on one authority's TUF repository, in bytes unless another unit is given.

    Attributes:
        root: One root document.
        timestamp: ``timestamp.json``.
        snapshot: ``N.snapshot.json``.
        targets: ``N.targets.json``, and the metadata of a delegated role.
        document: One of the documents, such as ``withdrawals.json``.
        roots: Root versions followed from the pinned one; beyond that the operator pins a newer
            root.
        message_characters: An error's text, as it is shown: parts of it may come from a hostile
            repository.
    """

    root: int = 1 << 18
    timestamp: int = 1 << 14
    snapshot: int = 1 << 18
    targets: int = 1 << 18
    document: int = MAX_DOCUMENT_BYTES
    roots: int = 256
    message_characters: int = 300

    @property
    def fetch(self) -> int:
        """The most that is ever asked of a source at once."""
        return max(self.root, self.timestamp, self.snapshot, self.targets, self.document)


@dataclass(frozen=True, slots=True)
class EvidenceLimits:
    """Caps on one folder of evidence.

    Attributes:
        file: Bytes of one file.
        waiting: Bytes of all files below the folder that were read and not verified; no more are
            read while there are as many. What was verified is not held in memory.
        walking: Share of the time that is spent on walking through the folder at polls.
        index: Bytes of a listing of published evidence.
        fetched: Bytes of all files that one listing lists.
    """

    file: int = MAX_ENVELOPE_BYTES
    waiting: int = 1 << 28
    walking: float = 0.02
    index: int = 1 << 24
    fetched: int = 1 << 30


@dataclass(frozen=True, slots=True)
class VerificationLimits:
    """How much work unverified evidence may cause. A *try* is one signature against one key.

    Attributes:
        slice_tries: Tries between two looks at what else there is to do.
        unknown_tries: Tries in a row, for one folder, on files whose key ids name no known key.
        unknown_tries_per_second: How fast a folder gets these back once they are used up.
        post_seconds: While there is more to verify, a new trust state is made this often.
        post_files: Or once so many files are verified: LMDB holds each page that a step changes in
            memory, and a new digest is mostly on a page of its own.
        many: New files of one folder from which on the signature pool is used.
        batch: Files that it verifies at a time.
    """

    slice_tries: int = 64
    unknown_tries: int = 50_000
    unknown_tries_per_second: float = 1_000.0
    post_seconds: float = 0.25
    post_files: int = 8_192
    many: int = 2_000
    batch: int = 256


REPOSITORY = RepositoryLimits()
EVIDENCE = EvidenceLimits()
VERIFICATION = VerificationLimits()

MAX_CONFIG_BYTES = 1 << 20
"""Largest ``trust.yaml``."""

LATE_SECONDS = 15.0
"""An authority that was not read for so long is late: a withdrawal should be in force by then."""
