"""One refresh of one authority: what its source says now, verified and kept.

python-tuf does the client workflow of the TUF specification (5.3 to 5.7); around it stands what it
leaves open: roots that count one key twice are refused before it sees them, a replaced timestamp or
snapshot key clears what the old one signed (5.3.11, recovery from a fast-forward), everything is
synced, and the complete set is kept apart from the library's own files (see ``store``).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata, TargetFile, Targets
from tuf.ngclient import Updater, UpdaterConfig

from sidecar.core.documents import AUTHORITY_FILE, WITHDRAWALS_FILE
from sidecar.core.trust_state import AuthorityView
from sidecar.trust import roots
from sidecar.trust.config import TrustedAuthority
from sidecar.trust.fetcher import METADATA, TARGETS, OnlyRootsError, SourceFetcher
from sidecar.trust.limits import REPOSITORY
from sidecar.trust.source import Source
from sidecar.trust.store import GoodSet, Seen, Store, StoreError
from sidecar.trust.view import (
    Memo,
    NoViewError,
    listed_document,
    newest_root,
    pinned_digest,
    read_view,
    store_of,
)

_LIMITS = UpdaterConfig(
    max_root_rotations=REPOSITORY.roots,
    root_max_length=REPOSITORY.root,
    timestamp_max_length=REPOSITORY.timestamp,
    snapshot_max_length=REPOSITORY.snapshot,
    targets_max_length=REPOSITORY.targets,
)


class RefreshError(Exception):
    """A refresh failed; what was kept before is still there. The text is one short line."""

    def __init__(self, message: str) -> None:
        # Parts of the text may come from the repository: nothing that could forge a log line.
        line = "".join(c if c.isprintable() else "?" for c in message)
        super().__init__(line[: REPOSITORY.message_characters])


def refresh(
    authority: TrustedAuthority, source: Source, state_dir: Path, memo: Memo | None = None
) -> AuthorityView:
    """Fetch, verify and keep what the authority publishes now.

    Args:
        authority: With the pinned root.
        source: Where its repository is.
        state_dir: The folder that holds one folder for each authority.
        memo: This authority's own, where it is refreshed again and again.

    Returns:
        The new view; the same as ``read_view`` gives from now on.

    Raises:
        RefreshError: Something is missing, expired, rolled back, not signed, too large, or cannot
            be kept or understood.
    """
    store = store_of(authority, state_dir)
    try:
        with store.locked():
            before = store.stamps()
            try:
                _follow_roots(authority, source, store)
                good = _follow_rest(authority, source, store)
            finally:
                store.sync_changed(before)
            store.keep(good)
            return read_view(authority, state_dir, memo)
    except (RepositoryError, DownloadError, roots.RootError, StoreError, NoViewError) as error:
        raise RefreshError(str(error)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise RefreshError(f"{type(error).__name__}: {error}") from error


def _updater(
    authority: TrustedAuthority, source: Source, store: Store, *, only_roots: bool
) -> Updater:
    return Updater(
        metadata_dir=str(store.metadata),
        metadata_base_url=METADATA,
        target_dir=str(store.targets),
        target_base_url=TARGETS,
        fetcher=SourceFetcher(source, only_roots=only_roots),
        config=_LIMITS,
        bootstrap=authority.root,
    )


def _follow_roots(authority: TrustedAuthority, source: Source, store: Store) -> None:
    """Bring the chain of roots up to date, and drop what rested on replaced keys.

    Apart from the rest, because what an earlier timestamp says must not be compared with a later
    one if the key that signed the earlier one was taken away.
    """
    pinned = pinned_digest(authority)
    seen = store.seen()
    with suppress(OnlyRootsError):
        _updater(authority, source, store, only_roots=True).refresh()
    root = newest_root(authority, store)
    now = Seen(pinned, root.version, roots.online_digest(root))
    if seen is not None and seen.online != now.online:
        store.forget_online()
    if now != seen:
        store.remember(now)


def _follow_rest(authority: TrustedAuthority, source: Source, store: Store) -> GoodSet:
    """Bring the rest up to date and return the complete set.

    Documents are looked up in what the targets role lists itself, never through delegations:
    nobody else speaks for an authority.
    """
    updater = _updater(authority, source, store, only_roots=False)
    updater.refresh()
    targets = (store.metadata / "targets.json").read_bytes()
    signed = Metadata[Targets].from_bytes(targets).signed
    return GoodSet(
        timestamp=(store.metadata / "timestamp.json").read_bytes(),
        snapshot=(store.metadata / "snapshot.json").read_bytes(),
        targets=targets,
        authority=_download(updater, listed_document(signed, AUTHORITY_FILE)),
        withdrawals=_download(updater, listed_document(signed, WITHDRAWALS_FILE)),
    )


def _download(updater: Updater, entry: TargetFile | None) -> bytes | None:
    """Return a document's bytes; null where the authority itself publishes none that is read."""
    if entry is None:
        return None
    path = updater.find_cached_target(entry) or updater.download_target(entry)
    return Path(path).read_bytes()
