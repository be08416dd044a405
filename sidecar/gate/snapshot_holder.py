"""Holds the current trust state as one reference that is replaced whole.

The control path publishes from a thread of its own; each request reads the reference once and keeps
that snapshot. Trust bundles are parsed at publication, so that no request waits for it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.snapshot import TrustState
from sidecar.identity.trust_bundles import TrustBundles

log = logging.getLogger("sidecar.gate")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A trust state with the trust bundles that verify credentials under it.

    ``mark`` is an object of this snapshot alone: what was compared with it keeps the mark, and so
    does not keep the state in memory.
    """

    state: TrustState
    bundles: TrustBundles
    mark: object = field(default_factory=object, compare=False, repr=False)


class SnapshotHolder:
    """Holds the current snapshot.

    Args:
        opened: Whether requests may read a snapshot as soon as it is published. ``admit serve``
            opens it once it has asked every authority: until then a persisted view may lack a
            withdrawal that was published while the gate was down.
    """

    def __init__(self, *, opened: bool = True) -> None:
        self._snapshot: Snapshot | None = None
        self._opened = opened

    def open(self) -> None:
        """Let requests read the snapshot."""
        self._opened = True

    def publish(self, state: TrustState) -> None:
        """Make ``state`` current; called by the control path, from any thread."""
        before = self._snapshot
        bundles = TrustBundles.of(state, None if before is None else before.bundles)
        known = () if before is None else before.bundles.problems
        for problem in bundles.problems:
            if problem not in known:
                log.warning("trust bundles: %s", problem)
        self._snapshot = Snapshot(state, bundles)  # one assignment: readers see old or new

    @property
    def published(self) -> Snapshot | None:
        """Return the current snapshot, opened or not; ``None`` before the first."""
        return self._snapshot

    def current(self) -> Snapshot:
        """Return the current snapshot.

        Raises:
            AdmissibilityError: ``trust_stale`` before ``open``, and before the first publication.
        """
        if not self._opened:
            raise AdmissibilityError(
                Reason.TRUST_STALE,
                "the gate is not ready: it has not asked every authority since it started",
            )
        if self._snapshot is None:
            raise AdmissibilityError(Reason.TRUST_STALE, "no trust state has been verified yet")
        return self._snapshot
