"""Records how far one decision came and how long each stage took.

It is the only mutable object on the request path and belongs to one request. The denial, the log
line and the timings are made from it when a stage refuses, times out or fails.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from sidecar.core.call import Credential
from sidecar.core.decide import Decision, Progress, renew
from sidecar.core.facts import Facts
from sidecar.extract.http_request import HttpRequest
from sidecar.extract.parsed_request import ParsedRequest
from sidecar.gate.leases import Lease
from sidecar.observe.outcome import LeasedOutcome, Outcome, PolicyQuery, SharedOutput


@dataclass(slots=True)
class DecisionContext:
    """The state of one decision; ``progress.at`` is its only reference time.

    Attributes:
        progress: How far it came; goes into every denial.
        request: The request, as far as it could be parsed.
        parsed: The outcome of step 0.
        asked: What the policies were asked about each call under the last trust state.
        key_unknown_in: The trust domain that has not published the credential's key; else empty.
        metadata: Further dynamic metadata of an allow.
        stages: Seconds of each stage.
        lease: The lease that the decision was made from.
        shared: What the decision's records have in common with others', without a lease.
        epoch: Of the trust state under which the lease held.
        lease_missed: Whether a lease was looked for and none was found; then it is not looked for
            again.
        verified: The credential, and the mark of the trust state under which it was verified.
    """

    progress: Progress
    request: HttpRequest | None = None
    parsed: ParsedRequest | None = None
    asked: list[PolicyQuery] = field(default_factory=list)
    key_unknown_in: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    lease: Lease | None = None
    shared: SharedOutput | None = None
    epoch: int = 0
    lease_missed: bool = False
    verified: tuple[object, Credential] | None = None
    _began: float = field(default_factory=time.perf_counter)
    _marked: float = field(default_factory=time.perf_counter)

    def reached(self, stage: str, **found: Any) -> None:  # noqa: ANN401 - fields of Progress
        """Record that ``stage`` ended, and the fields of ``Progress`` it found."""
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + now - self._marked
        self._marked = now
        if found:
            self.note(**found)

    def resume(self) -> None:
        """Begin to time the next stage now: what was waited for before belongs to none."""
        self._marked = time.perf_counter()

    def note(self, **found: Any) -> None:  # noqa: ANN401 - fields of Progress
        """Set fields of ``Progress``."""
        old = self.progress
        get = found.get
        # ``dataclasses.replace`` takes three times as long, several times a request.
        self.progress = Progress(
            old.id,
            old.at,
            get("epoch", old.epoch),
            get("call", old.call),
            get("credential", old.credential),
            get("assessment", old.assessment),
        )

    def asks(self, facts: Facts, *, again: bool) -> None:
        """Record a query of the policies; ``again``: about the same call as the last one."""
        before = self.asked.pop().facts if again else ()
        self.asked.append(PolicyQuery((*before, facts)))

    def answered(self, decision: Decision) -> None:
        """Record the decision about the call that the policies were asked about last."""
        self.asked[-1] = PolicyQuery(self.asked[-1].facts, decision)

    def renew(self, lease: Lease) -> Decision:
        """Make the decision of the lease that was found, for this request."""
        made = lease.decision
        self.note(
            epoch=self.epoch,
            call=made.call,
            credential=made.credential,
            assessment=made.assessment,
        )
        return renew(made, self.progress)

    def leased_outcome(self, lease: Lease) -> LeasedOutcome:
        """Return the outcome of the lease that was found, without making the decision."""
        parsed, progress = self.parsed, self.progress
        assert parsed is not None
        request = parsed.request
        assert request is not None
        return LeasedOutcome(
            lease.decision,
            lease.shared,
            progress.id,
            progress.at,
            self.epoch,
            request.provider,
            request.method,
            request.path.partition("?")[0],
            parsed.request_id,
            time.perf_counter() - self._began,
        )

    def outcome(self, decision: Decision) -> Outcome:
        """Return the outcome of the finished decision, for the log and the metrics."""
        request = self.request
        return Outcome(
            decision=decision,
            provider="" if request is None else request.provider,
            method="" if request is None else request.method,
            path="" if request is None else request.path.partition("?")[0],
            request_id=self._request_id(),
            stages=dict(self.stages),
            seconds=time.perf_counter() - self._began,
            asked=tuple(self.asked),
            key_unknown_in=self.key_unknown_in,
            shared=self._shared_output(decision),
        )

    def _shared_output(self, decision: Decision) -> SharedOutput | None:
        """Return what the decision's records share; none if it was refused after it was made."""
        lease = self.lease
        if lease is None:
            return self.shared if decision.allowed else None
        return lease.shared if decision.reason is lease.decision.reason else None

    def _request_id(self) -> str:
        if self.parsed is not None and self.parsed.request_id:
            return self.parsed.request_id
        return "" if self.request is None else self.request.request_id
