"""Reads the whole trust once, for a command that needs no gate."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sidecar.core.keys import PublicKey
from sidecar.core.memory import Memory
from sidecar.core.snapshot import Rejected, TrustState
from sidecar.core.trust_state import Change, VerifiedState, advance, public_keys
from sidecar.core.verification import VerifiedFile
from sidecar.trust import durable_state, sources
from sidecar.trust.config import TrustConfig, make_private
from sidecar.trust.evidence_queue import EvidenceQueue
from sidecar.trust.limits import VERIFICATION
from sidecar.trust.refresher import AuthorityRefresher, AuthorityStatus
from sidecar.trust.signature_pool import SignaturePool

_LOG = logging.getLogger("sidecar.trust")

_WHOLE = replace(VERIFICATION, unknown_tries=1 << 62)
"""Nothing waits for a budget: the command ends when every file was looked at."""

Advanced = Callable[[int, int], None]
"""Called with the number of files that were looked at, and of all."""


def _unwatched(_done: int, _of: int) -> None:
    """Show nothing."""


def load_once(
    config: TrustConfig, advanced: Advanced = _unwatched
) -> tuple[TrustState, tuple[AuthorityStatus, ...]]:
    """Refresh everything once and return the state, for a command that needs no gate.

    Versions are kept like those of the long-running control path, with which it may share the
    state folder.

    Raises:
        TrustConfigError: The state folder cannot be made or used.
    """
    state, rejected, statuses = load_verified(config, advanced)
    return state.snapshot(1, rejected), statuses


def load_verified(
    config: TrustConfig, advanced: Advanced = _unwatched
) -> tuple[VerifiedState, tuple[Rejected, ...], tuple[AuthorityStatus, ...]]:
    """Do the same and return the state that ``advance`` can start from, and what is refused.

    Raises:
        TrustConfigError: The state folder cannot be made or used.
    """
    make_private(config)
    return _read(config, durable_state.remembered(config.state_dir), advanced)


def load_as_of(
    config: TrustConfig, at: datetime, advanced: Advanced = _unwatched
) -> tuple[TrustState, tuple[AuthorityStatus, ...]]:
    """Read everything once as it would have counted at a past time; for audits, never for a gate.

    Metadata must not have expired at ``at``. What the repositories hold now is read all the same:
    for what they held then, ``config`` leads to copies of that time. Nothing is written to the
    state folder; what a gate remembers in it counts.

    Raises:
        TrustConfigError: What a gate remembers is damaged.
    """
    memory = durable_state.remembered(config.state_dir)
    with tempfile.TemporaryDirectory(prefix="admit-audit-") as folder:
        scratch = replace(config, state_dir=Path(folder) / "state")
        make_private(scratch)
        state, rejected, statuses = _read(scratch, memory, advanced, at)
        return state.snapshot(1, rejected), statuses


def _read(
    config: TrustConfig, memory: Memory, advanced: Advanced, at: datetime | None = None
) -> tuple[VerifiedState, tuple[Rejected, ...], tuple[AuthorityStatus, ...]]:
    refreshers = tuple(AuthorityRefresher(a, config.state_dir, at=at) for a in config.authorities)
    views = {view.name: view for each in refreshers if (view := each.refresh()) is not None}
    for each in refreshers:
        sources.close(each.source)
    evidence: set[bytes] = set()
    for place in config.evidence:
        found = sources.read_evidence(place, config.state_dir)
        evidence |= found.files
        for problem in found.problems:
            _LOG.warning("evidence: %s", problem)
    keys = frozenset(key for view in views.values() for key in public_keys(view))
    files, rejected = verified_files(evidence, keys, advanced)
    state = advance(VerifiedState.begin(config.operator, memory), Change(views, files))
    return state, rejected, tuple(each.status for each in refreshers)


def verified_files(
    evidence: Iterable[bytes], keys: frozenset[PublicKey], advanced: Advanced = _unwatched
) -> tuple[tuple[VerifiedFile, ...], tuple[Rejected, ...]]:
    """Verify files as a gate does, on every core where they are many; return what is refused too.

    Args:
        evidence: Envelope files; the order and repetition do not matter.
        keys: The attestation keys of all authorities.
        advanced: See ``Advanced``.
    """
    pool = SignaturePool()
    queue = EvidenceQueue(_WHOLE, pool=pool)
    queue.replace_keys(keys)
    queue.change(evidence)
    number = queue.left()
    try:
        while not queue.idle():
            queue.work(time.monotonic())
            advanced(number - queue.left(), number)
    finally:
        pool.rest()
    found = queue.take_changes().values()
    return tuple(file for file in found if file is not None), tuple(queue.rejected())
