"""Decides: allows only if the assessment *and* the verdict allow.

There is one place that makes an allow, ``decide``; ``renew`` repeats one while its lease holds,
``join`` joins several, and everything else can only make denials.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sidecar.core.assessment import Assessment, Finding
from sidecar.core.call import Call, Credential
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.verdict import Verdict, Violation

MAX_LEASE_SECONDS = 24 * 60 * 60
"""A bundle may give any number, also one that leads beyond the last date there is."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Allow or deny, with everything the reply, the metrics and the log need.

    Attributes:
        id: Unique; the client gets it in ``x-admissibility-decision-id``.
        reason: ``admitted`` for an allow, and for nothing else.
        detail: One sentence for the client.
        at: The decision's reference time.
        failed: The finding that refused, where the structural predicate did.
        call: What was asked, as far as it was understood.
        credential: Who asked, as far as it was verified.
        assessment: Where the request came that far.
        violations: Rules that refused.
        warnings: Rules that warned.
        epoch: Of the trust state.
        revision: Of the policies; empty where they were not asked.
        lease_until: An allow may be reused until then; equal to ``at`` for a denial.
    """

    id: str
    reason: Reason
    detail: str
    at: datetime
    failed: Finding | None = None
    call: Call | None = None
    credential: Credential | None = None
    assessment: Assessment | None = None
    violations: tuple[Violation, ...] = ()
    warnings: tuple[Violation, ...] = ()
    epoch: int = 0
    revision: str = ""
    lease_until: datetime | None = None

    @property
    def allowed(self) -> bool:
        """Whether the call may go on."""
        return self.reason is Reason.ADMITTED


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a request came; grows along the request path and goes into every denial."""

    id: str
    at: datetime
    epoch: int = 0
    call: Call | None = None
    credential: Credential | None = None
    assessment: Assessment | None = None


def decide(progress: Progress, verdict: Verdict, unchanged_until: datetime) -> Decision:
    """Combine the assessment with the verdict; the only function that can allow.

    Args:
        progress: With the assessment that the policies were asked about.
        verdict: What they answered.
        unchanged_until: When time alone could next change the assessment or its facts. A policy
            may have allowed for evidence that was not chosen, and ends before what was.

    Raises:
        AdmissibilityError: The request did not come far enough to be decided, or its assessment
            refused: a policy is no reason to go on then.
    """
    assessment = progress.assessment
    if assessment is None or not assessment.admissible:
        raise AdmissibilityError(Reason.INTERNAL_ERROR, "nothing admissible to decide on")
    if not verdict.allow:
        return _decision(progress, verdict.reason(), _rules(verdict), verdict=verdict)
    leased = progress.at + timedelta(seconds=min(verdict.lease_seconds, MAX_LEASE_SECONDS))
    until = min(assessment.valid_until, unchanged_until, leased)
    return _decision(progress, Reason.ADMITTED, "admitted", verdict=verdict, until=until)


def renew(decision: Decision, progress: Progress) -> Decision:
    """Make a decision again for another request, with the request's own id and time.

    Args:
        decision: One whose lease holds: nothing that it rests on has changed.
        progress: The other request, with the epoch of its own trust state.

    Raises:
        AdmissibilityError: An allow that the time of the request is not within.
    """
    until = decision.lease_until
    if not decision.allowed:
        until = progress.at
    elif until is None or not decision.at <= progress.at < until:
        raise AdmissibilityError(Reason.INTERNAL_ERROR, "the lease does not hold at this time")
    return Decision(
        progress.id,
        decision.reason,
        decision.detail,
        progress.at,
        decision.failed,
        decision.call,
        decision.credential,
        decision.assessment,
        decision.violations,
        decision.warnings,
        progress.epoch,
        decision.revision,
        until,
    )


def join(decisions: Sequence[Decision]) -> Decision:
    """Join allows of calls that are made together, such as the lines of a batch file.

    Args:
        decisions: At least one, each an allow, of one caller at one time.

    Returns:
        An allow that names every model, and relies on all that each of them relies on. What calls
        have one of, such as their operation, is that of the last.

    Raises:
        AdmissibilityError: One is no allow.
    """
    calls = [each.call for each in decisions if each.allowed and each.call is not None]
    made = [each.assessment for each in decisions if each.assessment is not None]
    if not decisions or not len(decisions) == len(calls) == len(made):
        raise AdmissibilityError(Reason.INTERNAL_ERROR, "only allows can be joined")
    call = replace(
        calls[-1],
        models=_union(call.models for call in calls),
        tuned=_union(call.tuned for call in calls),
        deployments=_union(call.deployments for call in calls),
        modalities=tuple(sorted(_union(call.modalities for call in calls))),
        tool_types=tuple(sorted(_union(call.tool_types for call in calls))),
        ignored=_union(call.ignored for call in calls),
        stream=any(call.stream for call in calls),
    )
    assessment = replace(
        made[-1],
        chains=tuple({chain.model: chain for one in made for chain in one.chains}.values()),
        constituents=tuple(sorted(_union(one.constituents for one in made))),
        manifests=tuple(sorted(_union(one.manifests for one in made))),
        objectors=tuple(sorted(_union(one.objectors for one in made))),
        must_be_fresh=tuple(sorted(_union(one.must_be_fresh for one in made))),
        valid_until=min(one.valid_until for one in made),
        endings=tuple(dict.fromkeys(end for one in made for end in one.endings)),
    )
    return replace(
        decisions[-1],
        call=call,
        assessment=assessment,
        warnings=tuple(dict.fromkeys(one for each in decisions for one in each.warnings)),
        lease_until=min(each.lease_until or each.at for each in decisions),
    )


def _union(groups: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """Return every text of the groups, in order, without repeats."""
    return tuple(dict.fromkeys(text for group in groups for text in group))


def refuse(progress: Progress, error: AdmissibilityError) -> Decision:
    """Deny because a stage of the request path refused."""
    reason = Reason.INTERNAL_ERROR if error.reason is Reason.ADMITTED else error.reason
    return _decision(progress, reason, error.message)


def inadmissible(progress: Progress) -> Decision:
    """Deny because the structural predicate refused, before and regardless of OPA."""
    failed = None if progress.assessment is None else progress.assessment.failed
    if failed is None or failed.reason is None:
        return _decision(progress, Reason.INTERNAL_ERROR, "refused without a finding")
    return _decision(progress, failed.reason, f"{failed.subject}: {failed.detail}", failed=failed)


def _rules(verdict: Verdict) -> str:
    violations = "; ".join(f"{v.code}: {v.message}" for v in verdict.violations)
    return violations or "the policies do not allow it"


def _decision(
    progress: Progress,
    reason: Reason,
    detail: str,
    *,
    failed: Finding | None = None,
    verdict: Verdict | None = None,
    until: datetime | None = None,
) -> Decision:
    return Decision(
        id=progress.id,
        reason=reason,
        detail=detail,
        at=progress.at,
        failed=failed,
        call=progress.call,
        credential=progress.credential,
        assessment=progress.assessment,
        violations=() if verdict is None else verdict.violations,
        warnings=() if verdict is None else verdict.warnings,
        epoch=progress.epoch,
        revision="" if verdict is None else verdict.revision,
        lease_until=progress.at if until is None else until,
    )
