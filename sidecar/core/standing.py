"""Standing: which signers of a piece of evidence count for a role, here and now."""

from __future__ import annotations

from datetime import datetime

from sidecar.core.evidence import Evidence, Predicate, Signer
from sidecar.core.grants import Grant, Scope
from sidecar.core.trust_state import TrustState


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
        if state.keys[signer].window.holds(now)
        and grant_for(state, signer.authority, role, scope, jurisdictions) is not None
    )
