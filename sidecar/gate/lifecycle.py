"""Runs one decision through its lifecycle: begin, decide, record, respond, end.

ext_authz and ext_proc use the same function, so that every decision has an id, one line of the
decision log and one count in the metrics, and nothing is admitted that cannot be recorded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from sidecar.core.decide import Decision, refuse
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.gate.decision_context import DecisionContext
from sidecar.identity.jwt_svid import UnknownKeyError
from sidecar.observe.outcome import LeasedOutcome, Outcome

log = logging.getLogger("sidecar.gate")

T = TypeVar("T")
INTERNAL = AdmissibilityError(Reason.INTERNAL_ERROR, "the gate failed")
_LOST = AdmissibilityError(
    Reason.INTERNAL_ERROR, "the decision log cannot be written, so nothing is admitted"
)


class Observer(Protocol):
    """Records decisions: the log, the metrics."""

    def ready(self) -> bool:
        """Return whether decisions can be recorded now."""
        ...

    def begin(self) -> None:
        """Count a decision that begins."""
        ...

    async def record(self, outcome: Outcome | LeasedOutcome) -> bool:
        """Write the line of an allow before it is answered; return whether it was written."""
        ...

    def end(self, outcome: Outcome | LeasedOutcome | None) -> None:
        """Count a decision that was answered, and record a denial; ``None`` if Envoy cancelled."""
        ...


@dataclass(slots=True, eq=False)
class LeasedResponse(Generic[T]):
    """An allow that was made from a lease: the response, and what is recorded."""

    response: T
    outcome: LeasedOutcome


async def run_decision(
    context: DecisionContext,
    decide: Callable[[], Awaitable[Decision]],
    seconds: float,
    observer: Observer,
    respond: Callable[[Decision], T],
    *,
    at_once: Callable[[], LeasedResponse[T] | Decision | None] | None = None,
    describe: Callable[[Decision], Decision] | None = None,
) -> T:
    """Run one decision through its lifecycle.

    Args:
        context: Its id, its reference time and how far it came.
        decide: Decides, or raises the refusal.
        seconds: The longest that may take.
        observer: Records it.
        respond: Makes the response from the recorded decision.
        at_once: Decides where nothing need be waited for; ``None`` where ``decide`` must.
        describe: Adds to the decision's detail before it is recorded.

    Returns:
        What ``respond`` returned.
    """
    outcome: Outcome | LeasedOutcome | None = None
    observer.begin()
    try:
        decision = _decide_at_once(at_once, context)
        if isinstance(decision, LeasedResponse):
            if observer.ready() and await observer.record(decision.outcome):
                outcome = decision.outcome
                return decision.response
            decision = refuse(context.progress, _LOST)
        elif decision is None:
            decision = await _decide_in_time(decide, context, seconds)
        if describe is not None:
            decision = describe(decision)
        if decision.allowed and not observer.ready():
            decision = refuse(context.progress, _LOST)
        response, ended = respond(decision), context.outcome(decision)
        if decision.allowed and not await observer.record(ended):
            decision = refuse(context.progress, _LOST)
            response, ended = respond(decision), context.outcome(decision)
        outcome = ended
    finally:
        observer.end(outcome)
    return response


def _decide_at_once(
    at_once: Callable[[], LeasedResponse[T] | Decision | None] | None, context: DecisionContext
) -> LeasedResponse[T] | Decision | None:
    """Return what needs no wait; an exception becomes a denial."""
    if at_once is None:
        return None
    try:
        return at_once()
    except Exception as error:  # noqa: BLE001 - none may leave the servicer
        return _refuse(error, context)


async def _decide_in_time(
    decide: Callable[[], Awaitable[Decision]], context: DecisionContext, seconds: float
) -> Decision:
    """Return the decision; an exception becomes a denial."""
    try:
        async with asyncio.timeout(seconds):
            return await decide()
    except TimeoutError:
        late = AdmissibilityError(
            Reason.DEADLINE_EXCEEDED, f"the decision took longer than {seconds:g} s"
        )
        return refuse(context.progress, late)
    except Exception as error:  # noqa: BLE001 - none may leave the servicer
        return _refuse(error, context)


def _refuse(error: Exception, context: DecisionContext) -> Decision:
    if isinstance(error, AdmissibilityError):
        if isinstance(error, UnknownKeyError):
            context.key_unknown_in = error.trust_domain
        return refuse(context.progress, error)
    log.error("decision %s failed", context.progress.id, exc_info=error)
    return refuse(context.progress, INTERNAL)
