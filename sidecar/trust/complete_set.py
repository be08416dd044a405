"""Completes verified metadata with the documents that it lists, from a source or as kept."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from sidecar.core.documents import AUTHORITY_FILE, WITHDRAWALS_FILE
from sidecar.trust.fetcher import TARGETS
from sidecar.trust.limits import REPOSITORY
from sidecar.trust.source import Source
from sidecar.trust.store import GoodSet
from sidecar.trust.view import listed_document


def complete(
    metadata: Mapping[str, bytes], source: Source, root: Root, before: GoodSet | None
) -> GoodSet:
    """Return the complete set of updated metadata, with its documents.

    The two documents are looked up in what the targets role lists itself, never through
    delegations: nobody else speaks for an authority.

    Args:
        metadata: Role → metadata that verified under ``root``.
        source: Where documents are fetched.
        root: The newest root.
        before: The last complete set; what it has is not fetched again.

    Raises:
        SourceError: A document cannot be had.
        RepositoryError: It is not the listed file.
    """
    signed = Metadata[Targets].from_bytes(metadata["targets"]).signed
    authority, withdrawals = (
        document(source, root, listed_document(signed, name), kept)
        for name, kept in (
            (AUTHORITY_FILE, None if before is None else before.authority),
            (WITHDRAWALS_FILE, None if before is None else before.withdrawals),
        )
    )
    return GoodSet(
        root=root.version,
        timestamp=metadata["timestamp"],
        snapshot=metadata["snapshot"],
        targets=metadata["targets"],
        authority=authority,
        withdrawals=withdrawals,
    )


def document(
    source: Source, root: Root, entry: TargetFile | None, kept: bytes | None
) -> bytes | None:
    """Return a document's bytes, as kept if they are the listed ones, else fetched.

    Returns:
        ``None`` where the authority itself publishes none that is read.

    Raises:
        SourceError: It cannot be had.
        RepositoryError: It is not the listed file.
    """
    if entry is None:
        return None
    if kept is not None:
        with suppress(LengthOrHashMismatchError):
            entry.verify_length_and_hashes(kept)
            return kept
    # TUF specification 5.7.3: the digest is part of the name where snapshots are consistent.
    prefix = f"{next(iter(entry.hashes.values()))}." if root.consistent_snapshot else ""
    data = source.fetch(f"{TARGETS}{prefix}{entry.path}", REPOSITORY.document)
    entry.verify_length_and_hashes(data)
    return data
