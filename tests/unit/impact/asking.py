"""Computes the impact of a withdrawal in a simulated world."""

from __future__ import annotations

from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.core.trust_state import verified
from sidecar.impact.compare import Impact, impact
from sidecar.impact.logged_calls import LoggedCalls
from tests.support.simulator.constants import NOW
from tests.support.simulator.world import World


def impact_of(
    world: World,
    kind: WithdrawalKind,
    subject: str,
    authority: str = "regulator",
    calls: LoggedCalls | None = None,
    further: tuple[str, ...] = (),
) -> Impact:
    state, rejected = verified(
        operator=world.operator(),
        views=[party.view() for party in world.parties.values()],
        evidence=world.evidence.values(),
    )
    assert rejected == ()
    entry, *others = (Withdrawal(kind, each, "not published") for each in (subject, *further))
    return impact(state, authority, entry, NOW, further=others, seen=calls)
