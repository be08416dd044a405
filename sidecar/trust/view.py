"""Reads one authority's view from what is kept: by one path after refresh and restart.

Theory of operation. ``read_kept`` trusts nothing that is on disk but the pinned root. It follows
the chain of roots, and from the root under which the last complete set was verified it verifies
that set again: timestamp, snapshot, targets, the documents. Expiry is data, not an error: the view
carries the earliest one, and the predicate compares it with its own reference time.

A verified view never goes away, it only becomes stale; so every withdrawal in it counts until a
newer set takes it back:

- an authority that fell silent keeps its last documents, which expire by themselves;
- a dead source does not take a view away, nor does a refresh that failed: the set stays as it was,
  with the expiry that it had. A newer timestamp that came without its snapshot raises the rollback
  floor at once but never makes the old set look fresher: withholding the snapshot gains nothing
  over withholding the timestamp, and the authority's own expiry bounds both;
- a root that replaced the keys makes what rested on the old ones stale at once, even if nothing
  newer can be had yet (``KeptView.replaced``): it is no agreement any more, and still every no;
- a complete, verified set that cannot be understood does not replace the one before
  (``refresh``), which is stale from then on;
- what an edition withdraws that verified and is not accepted counts as well (``unaccepted``).
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
    TrustDomainsDocument,
)
from sidecar.core.reasons import EvidenceError
from sidecar.core.snapshot import AuthorityView
from sidecar.trust import delegation, roots, unaccepted
from sidecar.trust.config import TrustedAuthority
from sidecar.trust.memo import Memo
from sidecar.trust.reserved_version import DamagedVersionError, SetVersion
from sidecar.trust.store import DomainsSet, GoodSet, Store, StoreError

S = TypeVar("S", Timestamp, Snapshot, Targets)


class NoViewError(Exception):
    """Nothing that is kept can be relied on; the text states why."""


@dataclass(frozen=True, slots=True)
class KeptView:
    """A view as it is kept.

    Attributes:
        view: With ``heard_since_start`` false: that is the refresher's to know.
        replaced: Why it is stale whatever its expiry: a newer root replaced the keys under which
            it was verified. Empty otherwise.
    """

    view: AuthorityView
    replaced: str = ""


def store_of(authority: TrustedAuthority, state_dir: Path) -> Store:
    """Return the folder kept for one authority."""
    return Store(state_dir / authority.name)


def read_kept(authority: TrustedAuthority, state_dir: Path, memo: Memo | None = None) -> KeptView:
    """Verify what is kept and return it.

    Args:
        authority: With the pinned root.
        state_dir: The folder that holds one folder for each authority.
        memo: This authority's own, where it is read again and again.

    Raises:
        NoViewError: There is no complete set, it does not verify from a root of the chain, or it
            cannot be understood.
    """
    store, memo = store_of(authority, state_dir), memo or Memo()
    try:
        chain = root_chain(authority, store)
        good = newest_set(store, memo)
        if good is None:
            raise NoViewError("was never verified")
        kept = view_of(authority.name, chain, good, store, memo)
        if memo.newest is None:  # what this process verified is in its memory
            _check_newest(store, version_of(_root_of(chain, good.root), good.timestamp))
    except (roots.RootError, StoreError, DamagedVersionError) as error:
        raise NoViewError(str(error)) from error
    return kept


def newest_set(store: Store, memo: Memo) -> GoodSet | None:
    """Return the last complete set: as kept, or a newer one of this process.

    Raises:
        StoreError: What was kept is damaged or gone, and this process has none.
    """
    newest = memo.newest
    try:
        kept = store.good()
    except StoreError:
        if newest is None:
            raise
        return newest  # it is kept again with the next refresh
    if kept is None and newest is None and store.reserved.exists():
        raise StoreError(f"{store.folder}: the last complete set was removed")
    if kept is None or newest is None:
        return kept or newest
    return max((kept, newest), key=_age)


def _age(good: GoodSet) -> tuple[int, int]:
    """Order sets of one authority: a root may restart its timestamp's versions."""
    return good.root or 0, Metadata[Timestamp].from_bytes(good.timestamp).signed.version


def version_of(root: Root, timestamp: bytes) -> SetVersion:
    """Return the version of a set whose timestamp verified under a root."""
    version = Metadata[Timestamp].from_bytes(timestamp).signed.version
    return SetVersion(root.version, roots.online_digest(root), version)


def _check_newest(store: Store, kept: SetVersion) -> None:
    """Refuse what is older than a set that counted and could not be kept: a no may be missing."""
    newest = store.reserved.read()
    if newest is not None and newest.is_above(kept):
        raise NoViewError(
            f"version {newest.timestamp} was verified before, and version {kept.timestamp} is "
            "what was kept; nothing older counts"
        )


def view_of(
    name: str,
    chain: tuple[Root, ...],
    good: GoodSet,
    store: Store,
    memo: Memo,
    verified: VerifiedSet | None = None,
) -> KeptView:
    """Verify a complete set and what is kept of the delegated role; return them as a view.

    Args:
        name: Of the authority.
        chain: Its roots, from the pinned one to the newest.
        good: The set as it is kept.
        store: Holds the set of the delegated role.
        memo: As of ``read_kept``.
        verified: The set, where it was verified already.

    Raises:
        NoViewError: The set does not verify from a root of the chain, or cannot be understood.
    """
    try:
        verified = verified or verify_set(_root_of(chain, good.root), good)
        view = understood(name, verified, good, memo)
        others = [_withdrawn(chain, each) for each in unaccepted.sets(store, memo)]
        withdrawals = unaccepted.united(view.withdrawals, others, memo)
        replaced = _replaced(chain[-1], good)
        expires = min(view.expires, _utc(chain[-1].expires))
        document, until = _trust_domains(chain, store, verified.targets, memo)
    except (RepositoryError, ValueError) as error:
        raise NoViewError(f"what is kept does not hold any more: {error}") from error
    except EvidenceError as error:
        raise NoViewError(f"its newest documents cannot be understood: {error}") from error
    return KeptView(
        AuthorityView(
            name=view.name,
            document=view.document,
            withdrawals=withdrawals,
            expires=expires if until is None else min(expires, until),
            version=view.version,
            trust_domains=document,
            withdrawals_sha256=view.withdrawals_sha256,
        ),
        replaced,
    )


def _withdrawn(chain: tuple[Root, ...], found: GoodSet) -> bytes:
    """Verify an edition that is not accepted; return its ``withdrawals.json``."""
    return withdrawn_by(verify_set(_root_of(chain, found.root), found), found)


def root_chain(authority: TrustedAuthority, store: Store) -> tuple[Root, ...]:
    """Return the roots from the pinned one to the newest in the kept chain.

    Raises:
        RootError: The newest is older than one that was seen before from the same pinned root.
        StoreError: What is kept is damaged.
    """
    chain = roots.chain(authority.root, store.history)
    seen, newest = store.seen(), chain[-1].version
    if seen is not None and seen.pinned == pinned_digest(authority) and newest < seen.root:
        raise roots.RootError(
            f"root version {seen.root} was seen before and is gone, {newest} is left"
        )
    return chain


def pinned_digest(authority: TrustedAuthority) -> str:
    """Hex SHA-256 of the pinned root document."""
    return hashlib.sha256(authority.root).hexdigest()


@dataclass(frozen=True, slots=True)
class VerifiedSet:
    """The metadata of a complete set, verified from one root."""

    root: Root
    timestamp: Timestamp
    snapshot: Snapshot
    targets: Targets

    @property
    def expires(self) -> datetime:
        """The earliest expiry of all four."""
        parts = (self.root, self.timestamp, self.snapshot, self.targets)
        return min(_utc(part.expires) for part in parts)


def verify_set(root: Root, found: GoodSet | DomainsSet) -> VerifiedSet:
    """Verify the metadata of a complete set from ``root``; expiry is not looked at.

    Raises:
        RepositoryError: A signature, a hash, a length or a version does not hold.
    """
    timestamp = _delegated(root, Timestamp, found.timestamp)
    snapshot = _delegated(root, Snapshot, found.snapshot)
    _listed(timestamp.snapshot_meta, snapshot, found.snapshot)
    targets = _delegated(root, Targets, found.targets)
    listed = snapshot.meta.get("targets.json")
    if listed is None:
        raise RepositoryError("the snapshot lists no targets")
    _listed(listed, targets, found.targets)
    return VerifiedSet(root, timestamp, snapshot, targets)


def understood(name: str, verified: VerifiedSet, good: GoodSet, memo: Memo) -> AuthorityView:
    """Read the two documents of a verified set.

    Raises:
        EvidenceError: One is missing, too large, malformed, or of another authority.
        RepositoryError: One is not the listed file.
    """
    authority = _document(verified.targets, AUTHORITY_FILE, good.authority)
    withdrawals = withdrawn_by(verified, good)
    return AuthorityView(
        name=name,
        document=memo.read_authority(authority, name),
        withdrawals=memo.read_withdrawals(withdrawals),
        expires=verified.expires,
        version=verified.timestamp.version,
        withdrawals_sha256=hashlib.sha256(withdrawals).hexdigest(),
    )


def withdrawn_by(verified: VerifiedSet, found: GoodSet) -> bytes:
    """Return the ``withdrawals.json`` that a verified set lists.

    Raises:
        EvidenceError: It is missing or too large.
        RepositoryError: It is not the listed file.
    """
    return _document(verified.targets, WITHDRAWALS_FILE, found.withdrawals)


def listed_document(targets: Targets, name: str) -> TargetFile | None:
    """Return the entry of a document, if the authority publishes it in a size that is read."""
    entry = targets.targets.get(name)
    return entry if entry is not None and entry.length <= MAX_DOCUMENT_BYTES else None


def _root_of(chain: tuple[Root, ...], version: int | None) -> Root:
    """Return the root of that version; the newest where it was not noted or is not in the chain."""
    return next((root for root in chain if root.version == version), chain[-1])


def _replaced(newest: Root, good: GoodSet) -> str:
    """Why a newer root no longer vouches for a set that an older one does; empty where it does."""
    if good.root in (None, newest.version):
        return ""  # verified from it already
    try:
        verify_set(newest, good)
    except (RepositoryError, ValueError) as error:
        return f"root version {newest.version} replaced its keys: {error}"
    return ""


def _trust_domains(
    chain: tuple[Root, ...], store: Store, newest: Targets, memo: Memo
) -> tuple[TrustDomainsDocument | None, datetime | None]:
    """Return the document of the delegated role and when it expires, as far as it holds.

    What the authority does not delegate now, by the newest targets metadata and the newest root, is
    none: trust domains only ever admit.
    """
    if delegation.role_of(newest) is None:
        return None, None
    try:
        kept = memo.unkept_domains or store.domains()
        if kept is None:
            return None, None
        verified = verify_set(chain[-1], kept)
        delegation.verify(newest, kept.role)
        role = delegation.verify(verified.targets, kept.role)
        delegation.check_listed(verified.snapshot, role, kept.role)
        data = delegation.document(role, kept.document)
        until = min(verified.expires, _utc(role.expires))
        return (None if data is None else memo.read_trust_domains(data)), until
    except (roots.RootError, StoreError, RepositoryError, ValueError, EvidenceError):
        return None, None


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
