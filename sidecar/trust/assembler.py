"""Builds trust states from the newest views and verified files, and hands each one on.

Assembling happens under one lock, from whatever is newest at that moment: of several threads that
wait for the lock, the first assembles for all of them. No signature is tried under it, so a
repository's news waits at most for one assembly.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from sidecar.core.grants import OperatorTrust
from sidecar.core.keys import PublicKey
from sidecar.core.memory import NOTHING, Memory
from sidecar.core.trust_state import AuthorityView, TrustState, assemble, public_keys
from sidecar.core.verification import VerifiedFile


class Assembler:
    """Keeps the newest of everything and builds trust states from it. Thread-safe.

    Args:
        operator: The operator's grants.
        publish: Called with each new state, in the order of their epochs, never concurrently.
        memory: As it was persisted.
        save: Persists the memory of a new state, before that is published.
    """

    def __init__(
        self,
        operator: OperatorTrust,
        publish: Callable[[TrustState], None],
        memory: Memory = NOTHING,
        save: Callable[[Memory], None] = lambda _: None,
    ) -> None:
        self._operator = operator
        self._publish = publish
        self._entries = threading.Lock()
        self._views: dict[str, AuthorityView | None] = {}
        self._files: tuple[VerifiedFile, ...] = ()
        self._changed = True
        self._building = threading.Lock()
        self._epoch = 0
        self._memory = memory
        self._save = save
        self._closed = False

    def post_view(self, name: str, view: AuthorityView | None) -> bool:
        """Take an authority's newest view; returns whether it changed, after publishing."""
        with self._entries:
            news = name not in self._views or self._views[name] != view
            self._views[name] = view
            self._changed |= news
        self._assemble()
        return news

    def post_files(self, files: tuple[VerifiedFile, ...]) -> None:
        """Take all verified files, after publishing."""
        with self._entries:
            self._changed |= files != self._files
            self._files = files
        self._assemble()

    def keys(self) -> frozenset[PublicKey]:
        """Return the attestation keys of all authorities, active, retired or out of window."""
        with self._entries:
            views = [view for view in self._views.values() if view is not None]
        return frozenset(key for view in views for key in public_keys(view))

    def save_again(self) -> None:
        """Persist the memory, where that failed before."""
        with self._building:
            self._save(self._memory)

    def close(self) -> None:
        """Publish nothing any more; returns when nothing is being published."""
        with self._entries:
            self._closed = True
        with self._building:
            return

    def _assemble(self) -> None:
        """Build and publish, unless another thread did so since the caller's change."""
        with self._building:
            with self._entries:
                if self._closed or not self._changed:
                    return
                views = [view for view in self._views.values() if view is not None]
                files = self._files
                self._changed = False
            try:
                self._epoch += 1
                state = assemble(
                    epoch=self._epoch,
                    operator=self._operator,
                    views=views,
                    files=files,
                    memory=self._memory,
                )
                self._memory = state.memory
                self._save(state.memory)
                self._publish(state)
            except BaseException:
                with self._entries:
                    self._changed = True  # nobody has it yet: the next round tries again
                raise
