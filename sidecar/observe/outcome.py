"""Defines the outcome of a decision, from which metrics and logs are written.

The gate creates it after the decision, so recording cannot change a decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sidecar.core.decide import Decision, Progress, renew
from sidecar.core.facts import Facts

UNKNOWN = "unknown"
STAGES = ("parse", "credential", "assess", "policy")
"""Stages of the request path, in order; each is timed separately."""


@dataclass(slots=True, eq=False)
class SharedOutput:
    """What all decisions from one lease have in common; filled at the first one.

    Without a lease: all allows of one credential and call that the policies answered alike.

    Attributes:
        line: The parts of the line of the decision log around its varying fields.
        counters: The metrics' counters to increment.
        responses: By the length of ``lease_until``: the serialized response in parts, to be joined
            by it, and each of them in parts to be joined by the decision's id.
    """

    line: tuple[str, ...] = ()
    counters: tuple[Any, ...] = ()
    responses: dict[int, tuple[list[bytes], ...]] = field(default_factory=dict)

    @property
    def filled(self) -> bool:
        """Whether a decision was recorded from it."""
        return bool(self.line and self.counters)


@dataclass(frozen=True, slots=True)
class PolicyQuery:
    """What the policies were asked about one call of a request.

    Attributes:
        facts: Their input, once for each query in order; the preferred evidence first.
        decision: About this call alone; ``None`` if they did not answer.
    """

    facts: tuple[Facts, ...]
    decision: Decision | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision, its request and its timings.

    Attributes:
        decision: The decision that was answered.
        provider: The route's provider; empty if the request could not be parsed.
        method: HTTP method.
        path: Raw path without its query.
        request_id: Envoy's ``x-request-id``.
        stages: Seconds of each stage that was reached.
        seconds: Seconds from receipt to response.
        asked: What the policies were asked about each of its calls, in order: several for a batch
            file, none where they were not asked.
        key_unknown_in: The trust domain that has not published the credential's key; else empty.
        shared: What it has in common with other decisions; ``None`` if that is not known.
    """

    decision: Decision
    provider: str
    method: str
    path: str
    request_id: str
    stages: Mapping[str, float]
    seconds: float
    asked: tuple[PolicyQuery, ...] = ()
    key_unknown_in: str = ""
    shared: SharedOutput | None = None

    @property
    def id(self) -> str:
        """The decision's id."""
        return self.decision.id


@dataclass(slots=True, eq=False)
class LeasedOutcome:
    """An allow that was made from a lease whose first decision is recorded: what differs from it.

    It is not frozen, because creating a frozen object of as many fields takes thrice as long.

    Attributes:
        leased: The decision that is made again.
        shared: What the records have in common.
        id: Of this decision.
        at: Its reference time.
        epoch: Of the trust state under which the lease held.
        provider: As for ``Outcome``, like the following.
    """

    leased: Decision
    shared: SharedOutput
    id: str
    at: datetime
    epoch: int
    provider: str
    method: str
    path: str
    request_id: str
    seconds: float

    def whole(self) -> Outcome:
        """Return the outcome with its decision."""
        return Outcome(
            decision=renew(self.leased, Progress(self.id, self.at, self.epoch)),
            provider=self.provider,
            method=self.method,
            path=self.path,
            request_id=self.request_id,
            stages={},
            seconds=self.seconds,
            shared=self.shared,
        )
