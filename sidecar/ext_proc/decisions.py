"""What the processor decides and remembers, and the account it gives of it.

Every refusal that goes out is a decision with an id of its own, one line of the log and one count
of the metrics, whether a policy was asked or a form could not be read. The line of the request's
first decision, an allow, has another id and the same request id.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sidecar.core.call import Call
from sidecar.core.decide import Decision, Progress, refuse
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.batch_lines import Reader, read_here
from sidecar.extract.http_request import HttpRequest
from sidecar.gate.clock import Reading
from sidecar.gate.decision_context import DecisionContext
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.server import Observer, decided, recorded
from sidecar.registry.objects import Objects
from sidecar.registry.record import Use
from sidecar.registry.tickets import AdmissionTicket


class AccountedError(AdmissibilityError):
    """A refusal whose decision is in the log already."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.reason, decision.detail)
        self.decision = decision


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a stream needs to decide and to remember.

    Attributes:
        pipeline: Judges calls; has the registry.
        observer: Told each decision.
        judge_seconds: For deciding about one batch file.
        clock: Tells the time.
        reader: Reads the lines of a batch file.
    """

    pipeline: Pipeline
    observer: Observer
    judge_seconds: float
    clock: Callable[[], Reading]
    reader: Reader = read_here

    @property
    def objects(self) -> Objects:
        """The registry.

        Raises:
            AdmissibilityError: ``object_unregistered`` where registration is off.
        """
        if self.pipeline.objects is None:
            raise AdmissibilityError(
                Reason.OBJECT_UNREGISTERED,
                "this route creates objects, and the operator has not turned registration on",
            )
        return self.pipeline.objects

    def now(self) -> datetime:
        """The time.

        Raises:
            AdmissibilityError: ``clock_unreliable``.
        """
        reading = self.clock()
        if reading.problem:
            raise AdmissibilityError(Reason.CLOCK_UNRELIABLE, reading.problem)
        return reading.at

    async def register(self, ticket: AdmissionTicket, name: str, uses: tuple[Use, ...]) -> None:
        """Remember an object that was created; never raises."""
        reading = self.clock()
        if reading.problem:
            self.objects.unread(ticket, reading.problem)
        else:
            await self.objects.register(ticket, name, uses, reading.at)

    async def judge(
        self, calls: Mapping[Call, int], ticket: AdmissionTicket, request: HttpRequest
    ) -> None:
        """Decide about everything in a batch file, as one decision that is accounted for.

        Args:
            calls: Every different call, with the number of its line.
            ticket: Of the upload.
            request: The upload's head, for the log.

        Raises:
            AdmissibilityError: ``clock_unreliable``; nothing was decided.
            AccountedError: It is refused.
        """
        context = _context(ticket, request, self.now())
        outcome = None
        self.observer.begin()
        try:
            decision = await self._decide(calls, ticket, context)
            decision = recorded(decision, context, self.observer)
            outcome = context.outcome(decision)
        finally:
            self.observer.end(outcome)
        if not decision.allowed:
            raise AccountedError(decision)

    def refused(
        self, error: AdmissibilityError, ticket: AdmissionTicket | None, request: HttpRequest | None
    ) -> Decision:
        """The decision that a refusal is, accounted for exactly once.

        Args:
            error: The refusal.
            ticket: Of the request, where it was verified.
            request: Its head, where it was told.
        """
        if isinstance(error, AccountedError):
            return error.decision
        # Of a clock that is wrong, too: the line tells what it said.
        context = _context(ticket, request, self.clock().at)
        decision = refuse(context.progress, error)
        self.observer.begin()
        self.observer.end(context.outcome(decision))
        return decision

    async def _decide(
        self, calls: Mapping[Call, int], ticket: AdmissionTicket, context: DecisionContext
    ) -> Decision:
        judged = self.pipeline.judge(tuple(calls), ticket.caller, context)
        decision = await decided(judged, context, self.judge_seconds)
        number = calls.get(decision.call) if decision.call is not None else None
        if decision.allowed or number is None:
            return decision
        return replace(decision, detail=f"line {number} of the batch file: {decision.detail}")


def _context(
    ticket: AdmissionTicket | None, request: HttpRequest | None, at: datetime
) -> DecisionContext:
    """A decision of its own; what the ticket tells of the request is what was admitted before."""
    progress = Progress(secrets.token_hex(16), at)
    if ticket is not None:
        admitted = Call(ticket.provider, ticket.operation, ())
        progress = replace(progress, call=admitted, credential=ticket.caller)
    return DecisionContext(progress, request=request)
