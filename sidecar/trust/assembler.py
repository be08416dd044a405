"""Advances the trust state by what changed, and hands each new one on.

That happens under one lock, with whatever changed until that moment: of several threads that wait
for the lock, the first advances for all of them. No signature is tried under it, so a repository's
news waits at most for one step, and a step costs what depends on its changes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sidecar.core.keys import PublicKey
from sidecar.core.snapshot import AuthorityView, TrustState
from sidecar.core.trust_state import Change, VerifiedState, public_keys
from sidecar.core.verification import VerifiedFile
from sidecar.trust.durable_state import DurableState


class Assembler:
    """Keeps what is verified and advances it. Thread-safe.

    Args:
        durable: The state as it is kept on disk.
        state: The state to begin with, of ``durable``.
        publish: Called with each new state, in the order of their epochs, never concurrently.
    """

    def __init__(
        self,
        durable: DurableState,
        state: VerifiedState,
        publish: Callable[[TrustState], None],
    ) -> None:
        self._durable = durable
        self._publish = publish
        self._entries = threading.Lock()
        self._views: dict[str, AuthorityView | None] = {}
        self._new_views: dict[str, AuthorityView | None] = {}
        self._new_files: dict[str, VerifiedFile | None] = {}
        self._unpublished = True
        self._building = threading.Lock()
        self._verified = state
        self._closed = False

    def post_view(self, name: str, view: AuthorityView | None) -> bool:
        """Take an authority's newest view; returns whether it changed, after publishing."""
        with self._entries:
            news = name not in self._views or self._views[name] != view
            if news:
                self._views[name] = self._new_views[name] = view
                self._unpublished = True
        self._advance()
        return news

    def post_files(self, added: tuple[VerifiedFile, ...], removed: tuple[str, ...]) -> None:
        """Take files that are new or count for more, and digests of those gone; then publish."""
        with self._entries:
            self._new_files |= {file.file_digest: file for file in added}
            self._new_files |= dict.fromkeys(removed)
            self._unpublished |= bool(added or removed)
        self._advance()

    def keys(self) -> frozenset[PublicKey]:
        """Return the attestation keys of all authorities, active, retired or out of window."""
        with self._entries:
            views = [view for view in self._views.values() if view is not None]
        return frozenset(key for view in views for key in public_keys(view))

    def save_again(self) -> None:
        """Write what could not be written before."""
        with self._building:
            self._durable.save_again()
            self._verified = self._durable.take_over(self._verified)

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Wait for the running step, and hold further steps back until the context ends."""
        with self._building:
            yield

    def close(self) -> None:
        """Publish nothing any more; returns when nothing is being published."""
        with self._entries:
            self._closed = True
        with self._building:
            return

    def file(self, digest: str) -> VerifiedFile | None:
        """Return the file with that digest, as it was verified; also in an earlier process."""
        tables = self._verified.tables
        payload = tables.files.get(digest)
        if payload is None:
            return None
        held = tables.signed[payload]
        return VerifiedFile(digest, payload, held.statement, dict(held.files)[digest])

    def has_file(self, digest: str) -> bool:
        """Return whether the file with that digest was verified, also in an earlier process."""
        return digest in self._verified.tables.files

    def file_digests(self) -> frozenset[str]:
        """Return the digests of every verified file."""
        return frozenset(self._verified.tables.files)

    def _advance(self) -> None:
        """Advance and publish, unless another thread did so since the caller's change."""
        with self._building:
            with self._entries:
                if self._closed or not self._unpublished:
                    return
                views, self._new_views = self._new_views, {}
                files, self._new_files = self._new_files, {}
                self._unpublished = False
            try:
                self._verified = self._durable.advance(self._verified, _change(views, files))
                views, files = {}, {}
                self._publish(self._verified.snapshot(self._durable.epoch))
            except BaseException:
                with self._entries:  # not published yet: the next round retries
                    self._new_views = views | self._new_views
                    self._new_files = files | self._new_files
                    self._unpublished = True
                raise


def _change(
    views: dict[str, AuthorityView | None], files: dict[str, VerifiedFile | None]
) -> Change:
    return Change(
        views,
        tuple(file for file in files.values() if file is not None),
        tuple(digest for digest, file in files.items() if file is None),
    )
