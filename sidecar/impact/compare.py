"""Assesses every use before and after a hypothetical withdrawal, and returns what would stop.

The state after is made by ``trust_state.advance`` from the authority's view with one entry more, so
that the withdrawal reaches what it would reach in a gate: the lineage, older statements of the same
author on the matter, successors of parents. Nothing is signed, published or kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sidecar.core.assess import assess
from sidecar.core.assessment import Assessment
from sidecar.core.documents import Withdrawal
from sidecar.core.reasons import EvidenceError, Reason
from sidecar.core.trust_state import Change, VerifiedState, advance
from sidecar.impact.assumed import assumed_credential
from sidecar.impact.logged_calls import CallCount, LoggedCalls
from sidecar.impact.possible_calls import EnvironmentCall, uses


class ImpactError(Exception):
    """The impact cannot be computed; the message is one line."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Calls that are admissible now and would not be: of the same models in one environment.

    Attributes:
        models: ``provider/id``; empty for calls that name no model.
        environment: SPIFFE ID.
        operations: Sorted.
        jurisdictions: As declared, with those of the operator's floors.
        reason: Reason code of the denial.
        detail: One sentence for people.
        before: An assessment without the withdrawal: what these calls rely on.
        seen: The admitted calls in the decision logs; ``None`` without any.
    """

    models: tuple[str, ...]
    environment: str
    operations: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    reason: str
    detail: str
    before: Assessment = field(repr=False)
    seen: CallCount | None = None


@dataclass(frozen=True, slots=True)
class Impact:
    """What a withdrawal would stop.

    Attributes:
        authority: Whose withdrawal.
        entry: As it would be published; assessed as if it were in effect.
        at: The reference time of every assessment.
        assessed: The number of uses that were assessed.
        admissible: How many of them are admissible now.
        stopped: How many of those would not be.
        stops: By model and environment, sorted.
        denied: Reason code → uses that are denied already.
        granted: Whether the operator grants the authority anything: if not, nothing counts.
        published: Whether the authority has published this withdrawal already.
        seen: The decision logs; ``None`` where none was read.
    """

    authority: str
    entry: Withdrawal
    at: datetime
    assessed: int
    admissible: int
    stopped: int
    stops: tuple[Stop, ...]
    denied: Mapping[str, int]
    granted: bool
    published: bool
    seen: LoggedCalls | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """Return ``provider/id`` of every model that stops somewhere, sorted."""
        return tuple(sorted({model for stop in self.stops for model in stop.models}))

    @property
    def environments(self) -> tuple[str, ...]:
        """Return the environments in which something stops, sorted."""
        return tuple(sorted({stop.environment for stop in self.stops}))

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        """Return the jurisdictions of those environments, sorted."""
        return tuple(sorted({name for stop in self.stops for name in stop.jurisdictions}))

    @property
    def callers(self) -> dict[str, CallCount]:
        """Return environment → admitted calls in the logs that would stop; the most calls first."""
        found: dict[str, CallCount] = {}
        for stop in self.stops:
            if stop.seen is not None:
                known = found.get(stop.environment)
                found[stop.environment] = stop.seen if known is None else known.plus(stop.seen)
        return dict(sorted(found.items(), key=lambda each: (-each[1].calls, each[0])))


def impact(
    state: VerifiedState,
    authority: str,
    entry: Withdrawal,
    now: datetime,
    *,
    further: Iterable[Withdrawal] = (),
    seen: LoggedCalls | None = None,
    advanced: Callable[[int, int], None] = lambda _done, _of: None,
) -> Impact:
    """Compute what a withdrawal would stop.

    Args:
        state: Everything verified, without the withdrawal.
        authority: Who would publish it, as the operator calls it.
        entry: The withdrawal; it is assessed as in effect, whenever it begins.
        now: The reference time (aware).
        further: The same under the other names by which gates count it.
        seen: Decision logs: their uses are assessed as well, and their calls counted.
        advanced: Called with the number of uses done, and of all.

    Raises:
        ImpactError: The authority's documents were never read, so nothing can be added to them.
    """
    after = hypothetical(state, authority, (entry, *further))
    old, new = state.snapshot(1), after.snapshot(2)
    asked = uses(old, entry, () if seen is None else seen.uses)
    denied: Counter[str] = Counter()
    stopped: dict[EnvironmentCall, tuple[Assessment, Assessment]] = {}
    for number, use in enumerate(asked):
        advanced(number, len(asked))
        try:
            credential = assumed_credential(old.operator, use.environment, now)
        except EvidenceError:
            denied[Reason.CREDENTIAL_INVALID.value] += 1  # no workload can have this name
            continue
        before = assess(use.call, credential, old, now)
        if before.reason is not None:
            denied[before.reason.value] += 1
            continue
        would_be = assess(use.call, credential, new, now)
        if not would_be.admissible:
            stopped[use] = before, would_be
    advanced(len(asked), len(asked))
    published = state.views[authority].withdrawals.entries
    return Impact(
        authority,
        entry,
        now,
        assessed=len(asked),
        admissible=len(asked) - denied.total(),
        stopped=len(stopped),
        stops=_grouped(stopped, seen),
        denied=dict(sorted(denied.items())),
        granted=bool(old.operator.of(authority)),
        published=any((e.kind, e.subject) == (entry.kind, entry.subject) for e in published),
        seen=seen,
    )


def hypothetical(
    state: VerifiedState, authority: str, published: Iterable[Withdrawal]
) -> VerifiedState:
    """Return the state in which an authority has also published these, in effect at once.

    Raises:
        ImpactError: The authority's documents were never read.
    """
    view = state.views.get(authority)
    if view is None:
        known = ", ".join(sorted(state.views)) or "none"
        raise ImpactError(
            f"no verified documents of {authority!r}: nothing can be added to its withdrawals; "
            f"read were those of: {known}"
        )
    document = view.withdrawals
    entries = (*document.entries, *(replace(entry, effective=None) for entry in published))
    changed = replace(view, withdrawals=replace(document, entries=entries))
    return advance(state, Change({authority: changed}))


def _grouped(
    stopped: Mapping[EnvironmentCall, tuple[Assessment, Assessment]], seen: LoggedCalls | None
) -> tuple[Stop, ...]:
    groups: dict[tuple[tuple[str, ...], str], list[EnvironmentCall]] = defaultdict(list)
    for use in stopped:
        groups[use.models, use.environment].append(use)
    return tuple(_stop(groups[at], stopped, seen) for at in sorted(groups))


def _stop(
    alike: list[EnvironmentCall],
    stopped: Mapping[EnvironmentCall, tuple[Assessment, Assessment]],
    seen: LoggedCalls | None,
) -> Stop:
    first = alike[0]
    before, after = stopped[first]
    failed, tally = after.failed, None
    for use in alike:
        one = None if seen is None else seen.uses.get(use)
        if one is not None:
            tally = one if tally is None else tally.plus(one)
    return Stop(
        models=first.models,
        environment=first.environment,
        operations=tuple(sorted({use.call.operation for use in alike})),
        jurisdictions=before.jurisdictions,
        reason="" if after.reason is None else after.reason.value,
        detail="" if failed is None else failed.detail,
        before=before,
        seen=tally,
    )
