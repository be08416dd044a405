"""Decides and registers for the external processor, and records each refusal as a decision.

A refusal in the middle of a request, by a policy or because a form cannot be parsed, is a decision
with its own id, one line of the decision log and one count in the metrics. The request's first
decision, an allow, has another id and the same request id.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sidecar.core.call import Call, Reference
from sidecar.core.decide import Decision, Progress
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.batch_lines import BlockReader, read_here
from sidecar.extract.http_request import HttpRequest
from sidecar.gate.clock import Reading
from sidecar.gate.decision_context import DecisionContext
from sidecar.gate.lifecycle import Observer, run_decision
from sidecar.gate.pipeline import Pipeline
from sidecar.registry.objects import Objects
from sidecar.registry.record import AdmittedUse
from sidecar.registry.tickets import AdmissionTicket


class AccountedError(AdmissibilityError):
    """A refusal whose decision is already recorded."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(decision.reason, decision.detail)
        self.decision = decision


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decides about batch files, records refusals, and registers objects.

    Attributes:
        pipeline: Decides about calls; has the registry.
        observer: Records each decision.
        judge_seconds: Deadline for deciding about one batch file.
        clock: Returns the time and whether it is reliable.
        reader: Parses blocks of lines of a batch file.
    """

    pipeline: Pipeline
    observer: Observer
    judge_seconds: float
    clock: Callable[[], Reading]
    reader: BlockReader = read_here

    @property
    def objects(self) -> Objects:
        """Return the registry.

        Raises:
            AdmissibilityError: ``object_unregistered`` if registration is off.
        """
        if self.pipeline.objects is None:
            raise AdmissibilityError(
                Reason.OBJECT_UNREGISTERED,
                "this route sends objects to be registered, and registration is off; have the"
                " operator turn it on, or take ext_proc off the route",
            )
        return self.pipeline.objects

    def now(self) -> datetime:
        """Return the time (aware, UTC).

        Raises:
            AdmissibilityError: ``clock_unreliable``.
        """
        reading = self.clock()
        if reading.problem:
            raise AdmissibilityError(Reason.CLOCK_UNRELIABLE, reading.problem)
        return reading.at

    async def register(
        self, ticket: AdmissionTicket, created: Reference, uses: tuple[AdmittedUse, ...]
    ) -> None:
        """Register a created object; a failure is logged and counted, never raised."""
        reading = self.clock()
        if reading.problem:
            self.objects.unread(ticket, reading.problem)
        else:
            await self.objects.register(ticket, created, uses, reading.at)

    async def judge(
        self,
        calls: Mapping[Call, int],
        inputs: Mapping[Reference, int],
        ticket: AdmissionTicket,
        request: HttpRequest,
    ) -> None:
        """Decide about every call of a batch file, as one recorded decision.

        Args:
            calls: Every distinct call, with the number of its first line.
            inputs: Every stored object that they name as input, likewise.
            ticket: The upload's ticket.
            request: The upload's head, for the log.

        Raises:
            AdmissibilityError: ``clock_unreliable``; nothing was decided.
            AccountedError: A call is refused.
        """
        now = self.now()
        context = _context(ticket, request, now)

        async def decide() -> Decision:
            await self._check_inputs(inputs, ticket, now)
            return await self.pipeline.judge(tuple(calls), ticket.caller, context)

        decision = await self._run(
            context,
            decide,
            lambda found: _with_line(found, calls),
        )
        if not decision.allowed:
            raise AccountedError(decision)

    async def _check_inputs(
        self, inputs: Mapping[Reference, int], ticket: AdmissionTicket, now: datetime
    ) -> None:
        """Require that the stored inputs of a batch file's lines are the caller's."""
        where = {each: f"line {number} of the batch file: " for each, number in inputs.items()}
        if where:
            objects, caller = self.objects, ticket.spiffe_id
            await objects.check_inputs(ticket.provider, ticket.api, where, caller, now)

    async def refused(
        self, error: AdmissibilityError, ticket: AdmissionTicket | None, request: HttpRequest | None
    ) -> Decision:
        """Record a refusal as a decision of its own, exactly once.

        Args:
            error: The refusal.
            ticket: The request's ticket; ``None`` if none was verified.
            request: Its head; ``None`` if Envoy has not sent it.
        """
        if isinstance(error, AccountedError):
            return error.decision
        # Recorded with an unreliable clock too; the log line then has that clock's time.
        context = _context(ticket, request, self.clock().at)
        return await self._run(context, lambda: _raise(error), _unchanged)

    async def _run(
        self,
        context: DecisionContext,
        decide: Callable[[], Awaitable[Decision]],
        describe: Callable[[Decision], Decision],
    ) -> Decision:
        return await run_decision(
            context, decide, self.judge_seconds, self.observer, _unchanged, describe=describe
        )


def _unchanged(decision: Decision) -> Decision:
    return decision


async def _raise(error: AdmissibilityError) -> Decision:
    raise error


def _with_line(decision: Decision, calls: Mapping[Call, int]) -> Decision:
    """Add the line number of the refused call to a denial's detail."""
    number = calls.get(decision.call) if decision.call is not None else None
    if decision.allowed or number is None:
        return decision
    return replace(decision, detail=f"line {number} of the batch file: {decision.detail}")


def _context(
    ticket: AdmissionTicket | None, request: HttpRequest | None, at: datetime
) -> DecisionContext:
    """Return the context of a new decision, with the call and caller that the ticket names."""
    progress = Progress(secrets.token_hex(16), at)
    if ticket is not None:
        admitted = Call(ticket.provider, ticket.operation, ())
        progress = replace(progress, call=admitted, credential=ticket.caller)
    return DecisionContext(progress, request=request)
