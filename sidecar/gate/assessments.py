"""Keeps admissible assessments, so that one question is assessed once while nothing changes.

An assessment is not a decision: the policies are still asked for each call. It is keyed by what the
predicate reads of a call and a credential (``core.reuse``), so that every caller of one environment
shares it, whatever else the calls differ in. It holds

* under the trust state of which it was made, and under another in which everything that it read is
  the same (``Reads.unchanged``, compared once per assessment and state);
* until the next instant, of everything that it read, at which time alone could change it.

Refusals are assessed each time. What one credential and call get is kept too
(``CallAssessment``): it is the same for each of their requests, and so is most of what is recorded
and answered.

Where the policies deny, the other choices of evidence that the predicate admits are looked for
(``others``), and kept in the same manner: a denied call that repeats is not searched again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sidecar.core import reuse
from sidecar.core.assess import assess
from sidecar.core.assessment import Assessment
from sidecar.core.call import Call, Credential
from sidecar.core.decide import Decision
from sidecar.core.facts import Facts
from sidecar.core.proving import proofs, prove
from sidecar.core.reads import recording
from sidecar.core.window import rfc3339
from sidecar.gate.leases import LeaseTable, Reusable
from sidecar.gate.snapshot_holder import Snapshot
from sidecar.observe.lease_metrics import End
from sidecar.observe.outcome import SharedOutput

MAX_ASSESSMENTS = 4096
_SAME_VALIDITY = timedelta(seconds=1)
"""How long the validity computed for one request is given to others; it only grows with time."""


@dataclass(slots=True, eq=False)
class ReusableAssessment(Reusable):
    """An assessment, with what it takes to use it again.

    Attributes:
        assessment: The assessment.
        proven: The facts of the first call that was asked of the policies.
    """

    assessment: Assessment
    proven: Facts | None = None

    def facts(self, call: Call, credential: Credential, now: datetime, nonce: str) -> Facts:
        """Return the facts of a call that the assessment admits."""
        at = rfc3339(now)
        if self.proven is None:
            self.proven = prove(call, credential, self.assessment, at, nonce)
            return self.proven
        return reuse.for_request(self.proven, call, credential, at, nonce)


@dataclass(slots=True, eq=False)
class CallAssessment:
    """An assessment for one credential and call.

    Attributes:
        made_from: The assessment that is used again, for any caller of the environment.
        assessment: The assessment for the credential.
        at: The time for which its validity was computed.
        shared: What the records and responses of its allows have in common.
    """

    made_from: ReusableAssessment
    assessment: Assessment
    at: datetime
    shared: SharedOutput = field(default_factory=SharedOutput)
    _proven: Facts | None = None
    _shared_by: object = None

    def facts(self, call: Call, credential: Credential, now: datetime, nonce: str) -> Facts:
        """Return the facts of a request; but for time and nonce, the same objects each time."""
        proven = self._proven
        if proven is None:
            self._proven = proven = self.made_from.facts(call, credential, now, nonce)
        return Facts(
            proven.request,
            proven.environment,
            proven.adaptations,
            proven.deployments,
            proven.waivers,
            rfc3339(now),
            nonce,
        )

    def shared_output(self, decision: Decision) -> SharedOutput:
        """Return what an allow has in common with the others that the policies answered alike."""
        ends = self.assessment.announced_end(decision.at)
        alike = decision.revision, decision.violations, decision.warnings, ends
        if self._shared_by != alike:
            self._shared_by, self.shared = alike, SharedOutput()
        return self.shared


@dataclass(slots=True, eq=False)
class ReusableAlternatives(Reusable):
    """What else the predicate admits a question by, in the order in which policies are asked."""

    found: tuple[ReusableAssessment, ...]


class Assessments:
    """The assessments of one gate; to be used inside one event loop.

    Args:
        most: The most that are kept; beyond it the least recently used is dropped.
    """

    def __init__(self, most: int = MAX_ASSESSMENTS) -> None:
        self._alternatives: LeaseTable[tuple[reuse.Caller, Call], ReusableAlternatives] = (
            LeaseTable(most)
        )
        self._by_question: LeaseTable[tuple[reuse.Caller, Call], ReusableAssessment] = LeaseTable(
            most
        )
        self._by_call: LeaseTable[tuple[Credential, Call], CallAssessment] = LeaseTable(most)

    def assess(
        self, call: Call, credential: Credential, snapshot: Snapshot, now: datetime
    ) -> CallAssessment:
        """Assess a call, or use again what was assessed of the same question.

        Args:
            call: The call.
            credential: The verified credential.
            snapshot: The trust state, read once for this request.
            now: The decision's reference time.

        Returns:
            The assessment for this credential and time.
        """
        if now < credential.expires:
            found = self._find(call, credential, snapshot, now)
            if found is not None:
                return found
        question = reuse.assessed_call(call)
        key = reuse.assessed_caller(credential), question
        state, reads = recording(snapshot.state)
        assessment = assess(question, credential, state, now)
        change = reads.next_change(now) if assessment.admissible else None
        until = now if change is None else change
        made = ReusableAssessment(reads, snapshot.mark, now, until, assessment)
        if change is not None:
            self._by_question.put(key, made)
        return CallAssessment(made, assessment, now)

    def _find(
        self, call: Call, credential: Credential, snapshot: Snapshot, now: datetime
    ) -> CallAssessment | None:
        """Find an assessment of the same question that still holds; ``None`` without one."""
        found = self._by_call.find(
            (credential, call), lambda held: held.made_from.lapsed(snapshot, now)
        )
        if found is None:
            key = reuse.assessed_caller(credential), reuse.assessed_call(call)
            kept = self._by_question.find(key, lambda held: held.lapsed(snapshot, now))
            if kept is None:
                return None
            found = CallAssessment(
                kept, reuse.for_credential(kept.assessment, credential, now), now
            )
            self._by_call.put((credential, call), found)
        elif not found.at <= now < found.at + _SAME_VALIDITY:
            found.assessment = reuse.for_credential(found.made_from.assessment, credential, now)
            found.at = now
        return found

    def others(
        self, call: Call, credential: Credential, snapshot: Snapshot, now: datetime
    ) -> Iterator[CallAssessment]:
        """Yield what a call is admitted by in place of its first assessment, preferred ones first.

        Args:
            call: A call that ``assess`` found admissible under the same snapshot.
            credential: The verified credential.
            snapshot: The trust state, read once for this request.
            now: The decision's reference time.

        Returns:
            Assessments of which each has other facts than all before it; see ``proofs``.
        """
        question = reuse.assessed_call(call)
        key = reuse.assessed_caller(credential), question
        kept = self._alternatives.find(key, lambda held: held.lapsed(snapshot, now))
        if kept is None:
            state, reads = recording(snapshot.state)
            found = tuple(proofs(question, credential, state, now))[1:]
            until = reads.next_change(now) or now
            mark = snapshot.mark
            assessed = tuple(ReusableAssessment(reads, mark, now, until, each) for each in found)
            kept = ReusableAlternatives(reads, mark, now, until, assessed)
            self._alternatives.put(key, kept)
        for each in kept.found:
            yield CallAssessment(each, reuse.for_credential(each.assessment, credential, now), now)

    def clear(self) -> None:
        """Drop every assessment."""
        self._alternatives.clear(End.CLOCK)
        self._by_question.clear(End.CLOCK)
        self._by_call.clear(End.CLOCK)
