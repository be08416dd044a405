"""Outcomes as the gate hands them over, made by the real predicate."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sidecar.core.assess import assess
from sidecar.core.call import Call
from sidecar.core.decide import Progress, decide, inadmissible, refuse
from sidecar.core.documents import WithdrawalKind
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.verdict import JurisdictionVerdict, Verdict, Violation
from sidecar.observe.outcome import LeasedOutcome, Outcome
from tests.support.simulator.constants import BASE, MODEL, NOW
from tests.support.simulator.world import World, admitted_world, credential

STAGES = {"parse": 0.0001, "credential": 0.0002}


def progress(world: World, **changes: Any) -> Progress:
    """As far as a request comes before OPA is asked."""
    call, caller, state = Call("openai", "chat.completions", (MODEL,)), credential(), world.state()
    found = Progress("d-1", NOW, 1, call, caller, assess(call, caller, state, NOW))
    return replace(found, **changes)


def verdict(*violations: Violation) -> Verdict:
    allow = not violations
    return Verdict(
        allow, "n", "r-1", violations, (), {"eu": JurisdictionVerdict(allow, violations)}, 30
    )


LATER = NOW + timedelta(days=30)


def outcome(decision: Any, **changes: Any) -> Outcome:
    values: dict[str, Any] = {
        "decision": decision,
        "provider": "openai",
        "method": "POST",
        "path": "/v1/chat/completions",
        "request_id": "1234",
        "stages": STAGES,
        "seconds": 0.003,
    }
    return Outcome(**{**values, **changes})


def admitted() -> Outcome:
    return outcome(decide(progress(admitted_world()), verdict(), LATER))


def leased(first: Outcome) -> LeasedOutcome:
    """The same allow once more, made from the lease of the first."""
    assert first.shared is not None
    return LeasedOutcome(
        first.decision,
        first.shared,
        first.id,
        first.decision.at,
        first.decision.epoch,
        first.provider,
        first.method,
        first.path,
        first.request_id,
        first.seconds,
    )


def ending() -> Outcome:
    """A call that is admitted, of a model whose base is announced to end in 89 days."""
    world = admitted_world()
    at = NOW + timedelta(days=89)
    world.parties["provider"].withdraw(WithdrawalKind.BASE_MODEL, f"openai/{BASE}", at)
    return outcome(decide(progress(world), verdict(), LATER))


def withdrawn() -> Outcome:
    world = admitted_world()
    world.parties["regulator"].withdraw("model", f"openai/{MODEL}")
    return outcome(inadmissible(progress(world)))


def violating() -> Outcome:
    found = Violation("eu.art10", "eu", "no corpus")
    return outcome(decide(progress(admitted_world()), verdict(found), LATER))


def unread() -> Outcome:
    """A request that could not even be read."""
    error = AdmissibilityError(Reason.MALFORMED_REQUEST, "a header twice")
    decision = refuse(Progress("d-2", NOW), error)
    return outcome(decision, provider="", method="", path="", request_id="")
