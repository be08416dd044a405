"""Refresh one authority: fetch what its source holds now, verify it and keep it.

python-tuf does the client workflow of the TUF specification (5.3 to 5.7); around it stands what it
leaves open: roots that count one key twice are refused before it sees them, a replaced timestamp or
snapshot key clears what the old one signed (5.3.11, recovery from a fast-forward), everything is
synced, and the complete set is kept apart from the library's own files (see ``store``).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets
from tuf.ngclient import Updater, UpdaterConfig

from sidecar.core.documents import (
    AUTHORITY_FILE,
    TRUST_DOMAINS_FILE,
    WITHDRAWALS_FILE,
    read_trust_domains,
)
from sidecar.core.reasons import EvidenceError
from sidecar.core.trust_state import AuthorityView
from sidecar.trust import delegation, roots
from sidecar.trust.config import TrustedAuthority
from sidecar.trust.fetcher import METADATA, TARGETS, OnlyRootsError, SourceFetcher
from sidecar.trust.limits import REPOSITORY
from sidecar.trust.memo import Memo
from sidecar.trust.source import Source, SourceError, SourceMissingError
from sidecar.trust.store import DomainsSet, GoodSet, Seen, Store, StoreError
from sidecar.trust.view import (
    NoViewError,
    VerifiedSet,
    listed_document,
    pinned_digest,
    read_view,
    root_chain,
    store_of,
    understood,
    verify_set,
)

_LIMITS = UpdaterConfig(
    max_root_rotations=REPOSITORY.roots,
    root_max_length=REPOSITORY.root,
    timestamp_max_length=REPOSITORY.timestamp,
    snapshot_max_length=REPOSITORY.snapshot,
    targets_max_length=REPOSITORY.targets,
)


class _Updater(Updater):
    """The library's updater, which leaves a file that has the same bytes as it is.

    It writes the pinned root anew each time it is made. A rename over a file waits for the disk:
    3 ms and more beside other writers. A library that has another name for this does so again.
    """

    def _persist_file(self, filename: str, data: bytes) -> None:
        with suppress(OSError):
            if Path(filename).read_bytes() == data:
                return
        super()._persist_file(filename, data)


class RefreshError(Exception):
    """A refresh failed; what was kept before is still there. The text is one short line."""

    def __init__(self, message: str) -> None:
        super().__init__(_one_line(message))


class NotUnderstoodError(RefreshError):
    """The newest set verified and cannot be understood: what is kept is older than it."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh came to.

    Attributes:
        view: The same as ``read_view`` gives from now on.
        domains_error: Why the delegated role's metadata or document could not be had; empty where
            it could, or where the authority delegates none.
        edition: What the source has for as long as nothing is new.
    """

    view: AuthorityView
    domains_error: str
    edition: Edition


@dataclass(frozen=True, slots=True)
class Edition:
    """What names one whole publication of an authority.

    Attributes:
        timestamp: The bytes of ``timestamp.json``; through its snapshot they fix everything else.
        root: Version of the newest root, which a timestamp does not name.
    """

    timestamp: bytes
    root: int

    def is_newest(self, source: Source) -> bool:
        """Return whether a source has the same timestamp, and no newer root."""
        try:
            if source.fetch(f"{METADATA}timestamp.json", REPOSITORY.timestamp) != self.timestamp:
                return False
        except SourceError:
            return False
        try:
            source.fetch(f"{METADATA}{self.root + 1}.root.json", REPOSITORY.root)
        except SourceMissingError:
            return True
        except SourceError:
            pass
        return False


def refresh(
    authority: TrustedAuthority, source: Source, state_dir: Path, memo: Memo | None = None
) -> Refreshed:
    """Fetch, verify and keep what the authority publishes now.

    The two documents of the targets role are kept before the delegated role is looked at, which can
    therefore hold up no withdrawal.

    Args:
        authority: With the pinned root.
        source: Where its repository is.
        state_dir: The folder that holds one folder for each authority.
        memo: This authority's own, where it is refreshed again and again.

    Raises:
        NotUnderstoodError: A document is missing, too large or malformed, though signed.
        RefreshError: Something is missing, expired, rolled back, not signed, too large, or cannot
            be kept.
    """
    store, memo = store_of(authority, state_dir), memo or Memo()
    try:
        with store.locked():
            before = store.stamps()
            try:
                no_roots: set[str] = set()
                root = _follow_roots(authority, source, store, no_roots)
                updater, good = _follow_rest(authority, source, store, root, no_roots)
            finally:
                store.sync_changed(before)
            verified = verify_set(root, good)
            _check_understood(authority.name, verified, good, memo)
            store.keep(good)
            domains_error = _follow_domains(updater, source, store, verified, good)
            edition = Edition(good.timestamp, root.version)
            return Refreshed(read_view(authority, state_dir, memo), domains_error, edition)
    except (RepositoryError, DownloadError, roots.RootError, StoreError, NoViewError) as error:
        raise RefreshError(str(error)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise RefreshError(f"{type(error).__name__}: {error}") from error


def _check_understood(name: str, verified: VerifiedSet, good: GoodSet, memo: Memo) -> None:
    try:
        understood(name, verified, good, memo)
    except EvidenceError as error:
        raise NotUnderstoodError(f"its newest documents cannot be understood: {error}") from error


def _updater(
    authority: TrustedAuthority, source: Source, store: Store, no_roots: set[str], *, only: bool
) -> Updater:
    return _Updater(
        metadata_dir=str(store.metadata),
        metadata_base_url=METADATA,
        target_dir=str(store.targets),
        target_base_url=TARGETS,
        fetcher=SourceFetcher(source, only_roots=only, no_roots=no_roots),
        config=_LIMITS,
        bootstrap=authority.root,
    )


def _follow_roots(
    authority: TrustedAuthority, source: Source, store: Store, no_roots: set[str]
) -> Root:
    """Update the chain of roots, drop what rested on replaced keys; return the newest.

    Apart from the rest, because an earlier timestamp's numbers must not be compared with a later
    one's if the key that signed the earlier one was taken away. ``no_roots`` gets the name of the
    root after the newest, so that the source is asked for it once in a refresh.
    """
    pinned = pinned_digest(authority)
    seen = store.seen()
    with suppress(OnlyRootsError):
        _updater(authority, source, store, no_roots, only=True).refresh()
    root = root_chain(authority, store)[-1]
    now = Seen(pinned, root.version, roots.online_digest(root))
    if seen is not None and seen.online != now.online:
        store.forget_online()
    if now != seen:
        store.remember(now)
    return root


def _follow_rest(
    authority: TrustedAuthority, source: Source, store: Store, root: Root, no_roots: set[str]
) -> tuple[Updater, GoodSet]:
    """Update timestamp, snapshot and targets; return the complete set.

    The two documents are looked up in what the targets role lists itself, never through
    delegations: nobody else speaks for an authority.
    """
    updater = _updater(authority, source, store, no_roots, only=False)
    updater.refresh()
    targets = (store.metadata / "targets.json").read_bytes()
    signed = Metadata[Targets].from_bytes(targets).signed
    return updater, GoodSet(
        root=root.version,
        timestamp=(store.metadata / "timestamp.json").read_bytes(),
        snapshot=(store.metadata / "snapshot.json").read_bytes(),
        targets=targets,
        authority=_download(updater, listed_document(signed, AUTHORITY_FILE)),
        withdrawals=_download(updater, listed_document(signed, WITHDRAWALS_FILE)),
    )


def _follow_domains(
    updater: Updater, source: Source, store: Store, verified: VerifiedSet, good: GoodSet
) -> str:
    """Update the delegated role; return why that failed, or an empty text."""
    if delegation.role_of(verified.targets) is None:
        store.forget_domains()
        return ""
    try:
        data = _role_metadata(source, store, verified)
        role = delegation.verify(verified.targets, data)
        delegation.check_listed(verified.snapshot, role, data)
        document = _download(updater, delegation.entry_of(role))
        if document is not None:
            read_trust_domains(document)
    except (RepositoryError, DownloadError, SourceError, roots.RootError) as error:
        return _one_line(f"{TRUST_DOMAINS_FILE}: {error}")
    except EvidenceError as error:
        return _one_line(str(error))
    store.keep_domains(
        DomainsSet(good.root, good.timestamp, good.snapshot, good.targets, data, document)
    )
    return ""


def _role_metadata(source: Source, store: Store, verified: VerifiedSet) -> bytes:
    """Return the delegated role's metadata: as kept if the snapshot lists that, else fetched."""
    entry = delegation.listed(verified.snapshot)
    with suppress(StoreError, RepositoryError, ValueError):
        kept = store.domains()
        if kept is not None:
            role = Metadata[Targets].from_bytes(kept.role).signed
            delegation.check_listed(verified.snapshot, role, kept.role)
            return kept.role
    prefix = f"{entry.version}." if verified.root.consistent_snapshot else ""
    return source.fetch(f"{METADATA}{prefix}{delegation.METADATA_FILE}", REPOSITORY.targets)


def _download(updater: Updater, entry: TargetFile | None) -> bytes | None:
    """Return a document's bytes; None where the authority itself publishes none that is read."""
    if entry is None:
        return None
    path = updater.find_cached_target(entry) or updater.download_target(entry)
    return Path(path).read_bytes()


def _one_line(message: str) -> str:
    """Shorten a text of which parts may come from a repository: nothing may forge a log line."""
    line = "".join(c if c.isprintable() else "?" for c in message)
    return line[: REPOSITORY.message_characters]
