"""Reads the whole trust once, for a command that needs no gate."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sidecar.core.memory import Memory
from sidecar.core.snapshot import Rejected, TrustState
from sidecar.core.trust_state import VerifiedState, verified
from sidecar.trust import durable_state, sources
from sidecar.trust.config import TrustConfig, make_private
from sidecar.trust.refresher import AuthorityRefresher, AuthorityStatus

_LOG = logging.getLogger("sidecar.trust")


def load_once(config: TrustConfig) -> tuple[TrustState, tuple[AuthorityStatus, ...]]:
    """Refresh everything once and return the state, for a command that needs no gate.

    Versions are kept like those of the long-running control path, with which it may share the
    state folder.

    Raises:
        TrustConfigError: The state folder cannot be made or used.
    """
    state, rejected, statuses = load_verified(config)
    return state.snapshot(1, rejected), statuses


def load_verified(
    config: TrustConfig,
) -> tuple[VerifiedState, tuple[Rejected, ...], tuple[AuthorityStatus, ...]]:
    """Do the same and return the state that ``advance`` can start from, and what is refused.

    Raises:
        TrustConfigError: The state folder cannot be made or used.
    """
    make_private(config)
    return _read(config, durable_state.remembered(config.state_dir))


def load_as_of(config: TrustConfig, at: datetime) -> tuple[TrustState, tuple[AuthorityStatus, ...]]:
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
        state, rejected, statuses = _read(scratch, memory, at)
        return state.snapshot(1, rejected), statuses


def _read(
    config: TrustConfig, memory: Memory, at: datetime | None = None
) -> tuple[VerifiedState, tuple[Rejected, ...], tuple[AuthorityStatus, ...]]:
    refreshers = tuple(AuthorityRefresher(a, config.state_dir, at=at) for a in config.authorities)
    views = [view for each in refreshers if (view := each.refresh()) is not None]
    for each in refreshers:
        sources.close(each.source)
    evidence: set[bytes] = set()
    for place in config.evidence:
        found = sources.read_evidence(place, config.state_dir)
        evidence |= found.files
        for problem in found.problems:
            _LOG.warning("evidence: %s", problem)
    state, rejected = verified(
        operator=config.operator,
        views=views,
        evidence=evidence,
        memory=memory,
    )
    return state, rejected, tuple(each.status for each in refreshers)
