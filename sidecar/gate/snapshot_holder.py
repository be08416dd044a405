"""Where the request path finds the trust state: one reference, swapped whole.

The control path publishes from a thread of its own; requests read the reference once and keep what
they got. Roots of credentials are parsed here, at publication, so that no request waits for it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.trust_state import TrustState
from sidecar.identity.trust_bundles import TrustBundles

log = logging.getLogger("sidecar.gate")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A trust state with what verifies credentials under it."""

    state: TrustState
    bundles: TrustBundles


class SnapshotHolder:
    """The current snapshot."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None

    def publish(self, state: TrustState) -> None:
        """Make ``state`` current; called by the control path, from any thread."""
        bundles = TrustBundles.of(state)
        for problem in bundles.problems:
            log.warning("credential roots: %s", problem)
        self._snapshot = Snapshot(state, bundles)  # one assignment: readers see old or new

    @property
    def published(self) -> Snapshot | None:
        """The current snapshot, or null before the first."""
        return self._snapshot

    def current(self) -> Snapshot:
        """The current snapshot.

        Raises:
            AdmissibilityError: ``trust_stale`` before the first was published.
        """
        if self._snapshot is None:
            raise AdmissibilityError(Reason.TRUST_STALE, "no trust state has been verified yet")
        return self._snapshot
