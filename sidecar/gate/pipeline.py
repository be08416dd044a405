"""Runs the stages of the request path in order.

    CheckRequest → parse → credential → (stored objects) → lease, or assess → policy → decide

A stage that refuses raises, and ``lifecycle`` makes the denial. The trust state is read once. If it
was replaced while OPA evaluated, the verdict depends on facts of an earlier state, so every stage
from the credential on is repeated, as often as the deadline allows. Where the policies deny one
choice of evidence, they are asked about the others that count. A decision that may be reused is
kept (``leases``); a request that one answers needs no wait (``find_lease``).
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.call import Call, Credential
from sidecar.core.decide import Decision, decide, inadmissible, join, renew
from sidecar.core.reasons import AdmissibilityError
from sidecar.core.refusals import unsupported
from sidecar.extract.heads import Heads
from sidecar.extract.http_request import HttpRequest
from sidecar.extract.parsed_request import (
    CheckMessage,
    LargeMessage,
    ParsedRequest,
    ReadOptions,
    body_size,
    parse,
)
from sidecar.gate.assessments import Assessments, CallAssessment
from sidecar.gate.credential_leases import CredentialLeases
from sidecar.gate.decision_context import DecisionContext
from sidecar.gate.in_flight_limiter import InFlightLimiter
from sidecar.gate.leases import Lease, Leases
from sidecar.gate.settings import Settings
from sidecar.gate.snapshot_holder import Snapshot, SnapshotHolder
from sidecar.observe.lease_metrics import CREDENTIAL, DECISION, LeaseCounts
from sidecar.opa.client import PolicyEngine
from sidecar.providers import creation, updated_by
from sidecar.registry.objects import Objects, ResolvedCall
from sidecar.registry.refusals import registration_off


class RequestReader(Protocol):
    """Parses large messages (step 0), in this process or in another (``WorkerPool``)."""

    async def __call__(self, large: LargeMessage, options: ReadOptions) -> ParsedRequest:
        """See ``parsed_request.parse``."""
        ...


async def parse_here(large: LargeMessage, options: ReadOptions) -> ParsedRequest:
    """Parse in this process, whatever the size."""
    return parse(pb.CheckRequest.FromString(large.data), options)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The stages and their parts.

    Without ``objects`` (registration off), calls that use or create stored objects are refused.
    """

    settings: Settings
    trust: SnapshotHolder
    policies: PolicyEngine
    reader: RequestReader = parse_here
    in_flight: InFlightLimiter = field(default_factory=lambda: InFlightLimiter(sys.maxsize))
    objects: Objects | None = None
    leases: Leases = field(init=False, repr=False)
    credentials: CredentialLeases = field(init=False, repr=False)
    assessments: Assessments = field(default_factory=Assessments, repr=False)
    read_options: ReadOptions = field(init=False, repr=False)
    heads: Heads = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Start without any lease, and look for stored inputs only where registration is on."""
        settings = self.settings
        options = settings.read_options(inputs=self.objects is not None)
        object.__setattr__(self, "read_options", options)
        object.__setattr__(self, "leases", Leases(settings.max_leases))
        verified = CredentialLeases(
            settings.max_credentials, header=settings.credential_header, audience=settings.audience
        )
        object.__setattr__(self, "credentials", verified)
        object.__setattr__(self, "heads", Heads(settings.credential_header))

    def lease_counts(self) -> dict[str, LeaseCounts]:
        """Return the numbers of leases, for the metrics."""
        return {DECISION: self.leases.counts, CREDENTIAL: self.credentials.counts}

    def forget(self) -> None:
        """End every lease, because the clock is not relied on."""
        self.leases.clear()
        self.credentials.clear()
        self.assessments.clear()

    def find_lease(self, message: CheckMessage, context: DecisionContext) -> Lease | None:
        """Find the lease that decides about a request without waiting.

        Args:
            message: Envoy's ``CheckRequest``.
            context: As for ``check``, which continues from it.

        Returns:
            A lease that holds; ``None`` where ``check`` must decide.

        Raises:
            AdmissibilityError: Step 0 or the credential refused.
        """
        if isinstance(message, LargeMessage):
            return None
        parsed = parse(message, self.read_options, self.heads)
        context.parsed, context.request = parsed, parsed.request
        context.reached("parse")
        if not isinstance(parsed.outcome, Call):
            raise AdmissibilityError(*parsed.outcome)
        assert parsed.request is not None
        return self._find_lease(parsed.request, parsed.outcome, context)

    def _find_lease(
        self, request: HttpRequest, call: Call, context: DecisionContext
    ) -> Lease | None:
        """Find the lease, unless the call uses, creates or changes stored objects."""
        if self.objects is not None and call.inputs:
            return None
        if self.objects is None or call.sandbox:
            _resolve_unregistered(call, request.api)
        elif (
            call.references
            or call.owned
            or creation(request.api, call.operation) is not None
            or updated_by(request.api, call.operation)
        ):
            return None
        now, snapshot, engine = context.progress.at, self.trust.current(), self.policies.identity()
        try:
            caller = self._verify(request, snapshot, context)
        except AdmissibilityError:
            context.note(call=call, epoch=snapshot.state.epoch)
            raise
        lease = self.leases.find(caller, call, snapshot, engine, now)
        context.lease_missed = lease is None
        if lease is None or self.trust.current() is not snapshot:
            return None
        context.lease, context.epoch = lease, snapshot.state.epoch
        return lease

    async def check(self, message: CheckMessage, context: DecisionContext) -> Decision:
        """Decide about one request.

        Args:
            message: Envoy's ``CheckRequest``.
            context: Holds the decision's id and reference time; records how far it came.

        Raises:
            AdmissibilityError: A stage refused.
        """
        with self.in_flight.take(body_size(message)):
            context.resume()
            parsed = context.parsed or await self._parse(message, context)
            if not isinstance(parsed.outcome, Call):
                raise AdmissibilityError(*parsed.outcome)
            assert parsed.request is not None
            return await self._decide(parsed.request, parsed.outcome, context)

    async def _parse(self, message: CheckMessage, context: DecisionContext) -> ParsedRequest:
        options = self.read_options
        if isinstance(message, LargeMessage):
            parsed = await self.reader(message, options)
        else:
            parsed = parse(message, options)
        context.parsed, context.request = parsed, parsed.request
        context.reached("parse")
        return parsed

    async def _decide(self, request: HttpRequest, call: Call, context: DecisionContext) -> Decision:
        """Run the stages after step 0 until the trust state did not change meanwhile."""
        context.note(call=call)
        while True:
            snapshot = self.trust.current()
            decision = await self._decide_under(snapshot, request, call, context)
            if not decision.allowed or self.trust.current() is snapshot:
                return decision

    async def _decide_under(
        self, snapshot: Snapshot, request: HttpRequest, call: Call, context: DecisionContext
    ) -> Decision:
        """Run every stage that depends on the trust state, under one snapshot."""
        now = context.progress.at
        context.note(epoch=snapshot.state.epoch)
        caller = self._verify(request, snapshot, context)
        context.reached("credential", credential=caller)
        resolved = await self._resolve(call, request, caller, context)
        # The call itself is judged last, because the log and the response describe the last one; it
        # has the models of the others.
        calls = (*resolved.later, resolved.call)
        decision = (await self._judge_in_turn(snapshot, calls, caller, context))[-1]
        if decision.allowed and self.objects is not None and not call.sandbox:
            await self.objects.add_uses(resolved)
            context.metadata = self.objects.metadata(
                resolved, request.api, caller, decision.id, now
            )
        return decision

    def _verify(
        self, request: HttpRequest, snapshot: Snapshot, context: DecisionContext
    ) -> Credential:
        """Verify the credential, once per request and trust state."""
        if context.verified is not None and context.verified[0] is snapshot.mark:
            return context.verified[1]
        caller = self.credentials.verify(request, snapshot.bundles, context.progress.at)
        context.verified = (snapshot.mark, caller)
        return caller

    async def _resolve(
        self, call: Call, request: HttpRequest, caller: Credential, context: DecisionContext
    ) -> ResolvedCall:
        objects, api = self.objects, request.api
        if objects is None:
            return _resolve_unregistered(call, api)
        environment, now = caller.spiffe_id, context.progress.at
        if not call.sandbox:
            return await objects.resolve(call, api, environment, now)
        if call.inputs:  # a model's answer can repeat its input
            where = dict.fromkeys(call.inputs, "")
            await objects.check_inputs(call.provider, api, where, environment, now)
            call = replace(call, inputs=())
        return _resolve_unregistered(call, api)

    async def judge(
        self, calls: Sequence[Call], caller: Credential, context: DecisionContext
    ) -> Decision:
        """Decide about calls that are made together, such as the lines of a batch file.

        Args:
            calls: At least one.
            caller: Their verified credential.
            context: As for ``check``; records which call was refused.

        Returns:
            The first refusal, or an allow that names the models of all and relies on what each
            of them relies on.

        Raises:
            AdmissibilityError: A stage refused.
        """
        context.note(credential=caller)
        while True:
            snapshot = self.trust.current()
            context.note(epoch=snapshot.state.epoch)
            decisions = await self._judge_in_turn(snapshot, calls, caller, context)
            context.shared = None  # it describes one call, this decision all of them
            if not decisions[-1].allowed:
                return decisions[-1]
            if self.trust.current() is snapshot:
                return join(decisions)

    async def _judge_in_turn(
        self,
        snapshot: Snapshot,
        calls: Sequence[Call],
        caller: Credential,
        context: DecisionContext,
    ) -> list[Decision]:
        """Decide about calls in turn, up to the first that is refused."""
        if not calls:
            raise ValueError("no call to decide about")
        decisions: list[Decision] = []
        context.asked.clear()
        for call in calls:
            decisions.append(await self._judge_one(snapshot, call, caller, context))
            if not decisions[-1].allowed:
                break
        return decisions

    async def _judge_one(
        self, snapshot: Snapshot, call: Call, caller: Credential, context: DecisionContext
    ) -> Decision:
        """Decide about one call by its lease, else by the predicate and the policies."""
        now, engine = context.progress.at, self.policies.identity()
        context.note(call=call)
        context.shared = None
        # ``find_lease`` looked already; what is decided next was not looked for.
        missed, context.lease_missed = context.lease_missed, False
        lease = None if missed else self.leases.find(caller, call, snapshot, engine, now)
        if lease is not None:
            context.note(assessment=lease.decision.assessment)
            return renew(lease.decision, context.progress)
        assessed = self.assessments.assess(call, caller, snapshot, now)
        context.reached("assess", assessment=assessed.assessment)
        if assessed.assessment.admissible:
            decision, assessed = await self._ask_policies(snapshot, call, caller, assessed, context)
        else:
            decision = inadmissible(context.progress)
        if engine is not None and self.policies.identity() is engine:
            self.leases.put(decision, assessed.made_from.reads, snapshot, engine)
        return decision

    async def _ask_policies(
        self,
        snapshot: Snapshot,
        call: Call,
        caller: Credential,
        first: CallAssessment,
        context: DecisionContext,
    ) -> tuple[Decision, CallAssessment]:
        """Ask the policies about an admissible call, and if they deny, about its other evidence.

        Returns:
            The first allow, else the denial of the preferred evidence, with what it rests on.
        """
        denied = await self._ask_about(call, caller, first, context)
        context.answered(denied)
        if denied.allowed:
            return denied, first
        for other in self.assessments.others(call, caller, snapshot, context.progress.at):
            context.note(assessment=other.assessment)
            decision = await self._ask_about(call, caller, other, context, again=True)
            if decision.allowed:
                context.answered(decision)
                return decision, other
        context.note(assessment=first.assessment)
        context.answered(denied)
        return denied, first

    async def _ask_about(
        self,
        call: Call,
        caller: Credential,
        assessed: CallAssessment,
        context: DecisionContext,
        *,
        again: bool = False,
    ) -> Decision:
        """Ask the policies about one choice of evidence."""
        facts = assessed.facts(call, caller, context.progress.at, secrets.token_hex(16))
        context.asks(facts, again=again)
        verdict = await self.policies.ask(facts)
        context.reached("policy")
        decision = decide(context.progress, verdict, assessed.made_from.until)
        context.shared = assessed.shared_output(decision) if decision.allowed else None
        return decision


def _resolve_unregistered(call: Call, api: str) -> ResolvedCall:
    """Resolve a call with registration off: stored objects can be neither used nor created.

    Registration is off in the sandbox: what is stored there must not be used in production.
    """
    if call.references:
        raise registration_off(call.references[0])
    created = creation(api, call.operation)
    if created is not None and created.registered:
        raise unsupported(
            f"{call.operation} creates an object that runs later, with models that the later"
            " request does not name; it needs registration, which the operator has not turned on"
        )
    return ResolvedCall(replace(call, owned=()) if call.owned and not call.sandbox else call)
