"""The TUF library's updater over what a state folder keeps, instead of files of its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from tuf.ngclient import Updater, UpdaterConfig

from sidecar.trust import signed_floor
from sidecar.trust.config import TrustedAuthority
from sidecar.trust.fetcher import METADATA, TARGETS, SourceFetcher
from sidecar.trust.limits import REPOSITORY
from sidecar.trust.source import Source
from sidecar.trust.store import Store

_LIMITS = UpdaterConfig(
    max_root_rotations=REPOSITORY.roots,
    root_max_length=REPOSITORY.root,
    timestamp_max_length=REPOSITORY.timestamp,
    snapshot_max_length=REPOSITORY.snapshot,
    targets_max_length=REPOSITORY.targets,
)


class KeptUpdater(Updater):
    """The library's updater, which keeps roots durably and everything else as values.

    Of the library it replaces how metadata is loaded and persisted. One that has other names for
    this loads nothing, so that ``held`` lacks what a refresh then asks for.

    Args:
        authority: With the pinned root.
        source: Where its repository is.
        store: Where roots are kept.
        no_roots: As of ``SourceFetcher``.
        held: Role → the newest metadata that was verified, as far as it is kept.
        only_roots: As of ``SourceFetcher``.
        at: When metadata must not have expired; ``None`` for now.
    """

    def __init__(
        self,
        authority: TrustedAuthority,
        source: Source,
        store: Store,
        no_roots: set[str],
        held: Mapping[str, bytes] | None = None,
        *,
        only_roots: bool = False,
        at: datetime | None = None,
    ) -> None:
        self._store = store
        self.held = dict(held or {})
        self._fetched = SourceFetcher(source, only_roots=only_roots, no_roots=no_roots)
        super().__init__(
            metadata_dir=str(store.metadata),
            metadata_base_url=METADATA,
            target_dir=None,
            target_base_url=TARGETS,
            fetcher=self._fetched,
            config=_LIMITS,
            bootstrap=authority.root,
        )
        if at is not None:
            self._trusted_set.reference_time = at

    def refresh(self) -> None:
        """Update all metadata, of which no version may come with two contents.

        Raises:
            TwoContentsError: The library keeps a timestamp, or a snapshot, of the same version.
            Exception: As of the library's.
        """
        super().refresh()
        signed_floor.check_listing(self.held, self._fetched.timestamp)

    def _load_local_metadata(self, rolename: str) -> bytes:
        try:
            return self.held[rolename]
        except KeyError:
            raise FileNotFoundError(rolename) from None

    def _persist_metadata(self, rolename: str, data: bytes) -> None:
        self.held[rolename] = data

    def _persist_root(self, version: int, data: bytes) -> None:
        self._store.keep_root(version, data)

    def _update_root_symlink(self) -> None:
        """Do nothing: the newest root is the last of the chain."""
