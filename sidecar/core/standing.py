"""Standing: which signers of a piece of evidence count for a role, here and now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeVar

from sidecar.core.evidence import DeploymentBinding, Environment, Evidence, Predicate, Signer
from sidecar.core.grants import Grant, Scope
from sidecar.core.trust_state import TrustState

Declared = Environment | DeploymentBinding
"""Of these the one that begins last is in force."""

D = TypeVar("D", Environment, DeploymentBinding)


def grant_for(
    state: TrustState, authority: str, role: str, scope: Scope, jurisdictions: tuple[str, ...]
) -> Grant | None:
    """Return the grant by which ``authority`` holds ``role`` in ``scope``, if it has one."""
    for grant in state.operator.of(authority):
        if grant.covers(role, scope, jurisdictions):
            return grant
    return None


def standing(
    state: TrustState,
    evidence: Evidence[Predicate],
    role: str,
    scope: Scope,
    jurisdictions: tuple[str, ...],
    now: datetime,
) -> tuple[Signer, ...]:
    """Return the signers that count: granted the role for the whole scope, key valid now."""
    return tuple(
        signer
        for signer in evidence.signers
        if state.keys[signer].agrees(now)
        and grant_for(state, signer.authority, role, scope, jurisdictions) is not None
    )


def in_force(current: Sequence[Evidence[D]]) -> tuple[Evidence[D], ...]:
    """Of several declarations that hold, those that begin last: more than one are ambiguous."""
    latest = max((item.predicate.window.not_before for item in current), default=None)
    return tuple(item for item in current if item.predicate.window.not_before == latest)


def next_beginning(
    state: TrustState,
    items: Iterable[tuple[Evidence[Declared], tuple[Signer, ...]]],
    now: datetime,
) -> datetime | None:
    """When the next of several declarations comes into force, of which the newest counts.

    Args:
        state: For the windows of keys.
        items: Each declaration with the signers that are granted, whether or not their keys hold.
        now: The reference time.
    """
    begins = (
        max(item.predicate.window.not_before, state.keys[signer].window.not_before)
        for item, signers in items
        for signer in signers
    )
    return min((begin for begin in begins if begin > now), default=None)
