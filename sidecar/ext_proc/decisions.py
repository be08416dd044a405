"""Decides and registers for the external processor, and records each refusal as a decision.

A refusal in the middle of a request, because of a policy or because a form could not be read, is a
decision with an id of its own, one line of the log and one count of the metrics. The line of the
request's first decision, an allow, has another id and the same request id.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sidecar.core.call import Call
from sidecar.core.decide import Decision, Progress
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.batch_lines import Reader, read_here
from sidecar.extract.http_request import HttpRequest
from sidecar.gate.clock import Reading
from sidecar.gate.decision_context import DecisionContext
from sidecar.gate.lifecycle import Observer, live
from sidecar.gate.pipeline import Pipeline
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
        judged = self.pipeline.judge(tuple(calls), ticket.caller, context)
        decision = await self._live(context, judged, lambda found: _with_line(found, calls))
        if not decision.allowed:
            raise AccountedError(decision)

    async def refused(
        self, error: AdmissibilityError, ticket: AdmissionTicket | None, request: HttpRequest | None
    ) -> Decision:
        """Record a refusal as a decision of its own, exactly once.

        Args:
            error: The refusal.
            ticket: Of the request, where it was verified.
            request: Its head, where Envoy has sent it.
        """
        if isinstance(error, AccountedError):
            return error.decision
        # With an unreliable clock too: the log line carries the time that it showed.
        context = _context(ticket, request, self.clock().at)
        return await self._live(context, _raise(error), _unchanged)

    async def _live(
        self,
        context: DecisionContext,
        asked: Awaitable[Decision],
        describe: Callable[[Decision], Decision],
    ) -> Decision:
        return await live(
            context, asked, self.judge_seconds, self.observer, _unchanged, describe=describe
        )


def _unchanged(decision: Decision) -> Decision:
    return decision


async def _raise(error: AdmissibilityError) -> Decision:
    raise error


def _with_line(decision: Decision, calls: Mapping[Call, int]) -> Decision:
    """Name the line of the batch file that a denial is about."""
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
