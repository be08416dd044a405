"""Computes the impact of a withdrawal in a simulated world."""

from __future__ import annotations

from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.core.trust_state import verified
from sidecar.impact.compare import Impact, impact
from sidecar.impact.seen import SeenCalls
from tests.support.simulator.predicates import NOW
from tests.support.simulator.world import World


def impact_of(
    world: World,
    kind: WithdrawalKind,
    subject: str,
    authority: str = "regulator",
    calls: SeenCalls | None = None,
) -> Impact:
    state, rejected = verified(
        operator=world.operator(),
        views=[party.view() for party in world.parties.values()],
        evidence=world.evidence.values(),
    )
    assert rejected == ()
    return impact(state, authority, Withdrawal(kind, subject, "not published"), NOW, seen=calls)
