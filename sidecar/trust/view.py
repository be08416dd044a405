"""One authority's view, read from what is kept: the same way after a refresh and after a restart.

Theory of operation. ``read_view`` trusts nothing that is on disk but the pinned root. It follows
the chain of roots to the newest one, and from there verifies the last complete set again:
timestamp, snapshot, targets, the two documents. Expiry is data, not an error: the view carries the
earliest one, and the predicate compares it with its own reference time. So

- an authority that fell silent keeps its last word, which grows stale by itself;
- a dead source does not take a view away, nor does a refresh that failed: the set stays as it was,
  with the expiry that it had. A newer timestamp that came without its snapshot raises the rollback
  floor at once but never makes the old set look fresher: withholding the snapshot gains nothing
  over withholding the timestamp, and the authority's own expiry bounds both;
- a root that replaced the keys ends at once what rested on the old ones, even if nothing newer
  can be had yet;
- a complete, verified set that cannot be understood is no view at all: it is the authority's
  newest word, so the word before it must not be relied on any more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from sidecar.core.documents import (
    AUTHORITY_FILE,
    MAX_DOCUMENT_BYTES,
    WITHDRAWALS_FILE,
    AuthorityDocument,
    WithdrawalsDocument,
    read_authority,
    read_withdrawals,
)
from sidecar.core.reasons import EvidenceError
from sidecar.core.trust_state import AuthorityView
from sidecar.trust import roots
from sidecar.trust.config import TrustedAuthority
from sidecar.trust.store import GoodSet, Store, StoreError

S = TypeVar("S", Timestamp, Snapshot, Targets)


@dataclass(slots=True)
class Memo:
    """The documents that were read last: a heartbeat changes neither, and they may be large."""

    authority: tuple[bytes, AuthorityDocument] | None = None
    withdrawals: tuple[bytes, WithdrawalsDocument] | None = None

    def read_authority(self, data: bytes, name: str) -> AuthorityDocument:
        """Like ``documents.read_authority``; always of the same ``name``."""
        if self.authority is None or self.authority[0] != data:
            self.authority = (data, read_authority(data, name=name))
        return self.authority[1]

    def read_withdrawals(self, data: bytes) -> WithdrawalsDocument:
        """Like ``documents.read_withdrawals``."""
        if self.withdrawals is None or self.withdrawals[0] != data:
            self.withdrawals = (data, read_withdrawals(data))
        return self.withdrawals[1]


class NoViewError(Exception):
    """Nothing that is kept can be relied on; the text says why."""


def store_of(authority: TrustedAuthority, state_dir: Path) -> Store:
    """The folder kept for one authority."""
    return Store(state_dir / authority.name)


def read_view(
    authority: TrustedAuthority, state_dir: Path, memo: Memo | None = None
) -> AuthorityView:
    """Verify what is kept and return it.

    Args:
        authority: With the pinned root.
        state_dir: The folder that holds one folder for each authority.
        memo: This authority's own, where it is read again and again.

    Raises:
        NoViewError: There is no complete set, it does not verify from the newest root, or it cannot
            be understood.
    """
    store = store_of(authority, state_dir)
    try:
        root = newest_root(authority, store)
        good = store.good()
        if good is None:
            raise NoViewError("was never verified")
        return _verified(authority.name, root, good, memo or Memo())
    except (roots.RootError, StoreError) as error:
        raise NoViewError(str(error)) from error
    except (RepositoryError, ValueError) as error:
        raise NoViewError(f"what is kept does not hold any more: {error}") from error
    except EvidenceError as error:
        raise NoViewError(f"its newest word cannot be understood: {error}") from error


def newest_root(authority: TrustedAuthority, store: Store) -> Root:
    """The newest root in the kept chain.

    Raises:
        RootError: It is older than one that was seen before from the same pinned root.
        StoreError: What is kept is damaged.
    """
    root = roots.newest(authority.root, store.history)
    seen = store.seen()
    if seen is not None and seen.pinned == pinned_digest(authority) and root.version < seen.root:
        raise roots.RootError(
            f"root version {seen.root} was seen before and is gone, {root.version} is left"
        )
    return root


def pinned_digest(authority: TrustedAuthority) -> str:
    """Hex SHA-256 of the pinned root document."""
    return hashlib.sha256(authority.root).hexdigest()


def _verified(name: str, root: Root, good: GoodSet, memo: Memo) -> AuthorityView:
    timestamp = _delegated(root, Timestamp, good.timestamp)
    snapshot = _delegated(root, Snapshot, good.snapshot)
    _listed(timestamp.snapshot_meta, snapshot, good.snapshot)
    targets = _delegated(root, Targets, good.targets)
    listed = snapshot.meta.get("targets.json")
    if listed is None:
        raise RepositoryError("the snapshot lists no targets")
    _listed(listed, targets, good.targets)
    authority = _document(targets, AUTHORITY_FILE, good.authority)
    withdrawals = _document(targets, WITHDRAWALS_FILE, good.withdrawals)
    return AuthorityView(
        name=name,
        document=memo.read_authority(authority, name),
        withdrawals=memo.read_withdrawals(withdrawals),
        expires=min(_utc(part.expires) for part in (root, timestamp, snapshot, targets)),
        version=timestamp.version,
    )


def _delegated(root: Root, kind: type[S], data: bytes) -> S:
    document = Metadata[S].from_bytes(data)
    if not isinstance(document.signed, kind):
        raise RepositoryError(f"a {document.signed.type} document in the place of {kind.type}")
    root.verify_delegate(kind.type, document.signed_bytes, document.signatures)
    return document.signed


def _listed(listed: MetaFile, found: Signed, data: bytes) -> None:
    listed.verify_length_and_hashes(data)
    if found.version != listed.version:
        raise RepositoryError(f"{found.type} version {found.version}, not {listed.version}")


def listed_document(targets: Targets, name: str) -> TargetFile | None:
    """The entry of a document, if the authority publishes it in a size that is read."""
    entry = targets.targets.get(name)
    return entry if entry is not None and entry.length <= MAX_DOCUMENT_BYTES else None


def _document(targets: Targets, name: str, data: bytes | None) -> bytes:
    entry = listed_document(targets, name)
    if entry is None:
        raise EvidenceError(f"{name}: is not published, or larger than {MAX_DOCUMENT_BYTES} bytes")
    if data is None:
        raise EvidenceError(f"{name}: was not downloaded")
    entry.verify_length_and_hashes(data)
    return data


def _utc(expires: datetime) -> datetime:
    return expires if expires.tzinfo is not None else expires.replace(tzinfo=UTC)
