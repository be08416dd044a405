"""Keeps admissible assessments, so that one question is assessed once while nothing changes.

An assessment is no decision: whoever gets it again still asks the policies. It is kept for what the
predicate reads of a call and a credential (``core.reuse``), so that every caller of one environment
shares it, whatever else the calls differ in. It holds

* under the trust state of which it was made, and under another in which everything that it read is
  the same (``Reads.unchanged``, compared once per assessment and state);
* until the next instant, of everything that it read, at which time alone could change it.

Refusals are assessed each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sidecar.core import reuse
from sidecar.core.assess import assess
from sidecar.core.assessment import Assessment
from sidecar.core.call import Call, Credential
from sidecar.core.facts import Facts, prove
from sidecar.core.reads import recording
from sidecar.core.window import rfc3339
from sidecar.gate.leases import Kept, LeaseTable
from sidecar.gate.snapshot_holder import Snapshot
from sidecar.observe.lease_metrics import End

MAX_ASSESSMENTS = 4096


@dataclass(slots=True, eq=False)
class Assessed(Kept):
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
        return reuse.restated(self.proven, call, credential, at, nonce)


class Assessments:
    """The assessments of one gate; to be used inside one event loop.

    Args:
        most: The most that are kept; beyond it the least recently used is dropped.
    """

    def __init__(self, most: int = MAX_ASSESSMENTS) -> None:
        self._table: LeaseTable[tuple[reuse.Caller, Call], Assessed] = LeaseTable(most)

    def assess(
        self, call: Call, credential: Credential, snapshot: Snapshot, now: datetime
    ) -> tuple[Assessment, Assessed]:
        """Assess a call, or use again what was assessed of the same question.

        Args:
            call: The call.
            credential: The verified credential.
            snapshot: The trust state, read once for this request.
            now: The decision's reference time.

        Returns:
            The assessment for this credential and time, and the one that it was made from.
        """
        question = reuse.question(call)
        key = reuse.caller(credential), question
        if now < credential.expires:
            kept = self._table.find(key, lambda held: held.lapsed(snapshot, now))
            if kept is not None:
                return reuse.reused(kept.assessment, credential, now), kept
        state, reads = recording(snapshot.state)
        assessment = assess(question, credential, state, now)
        change = reads.next_change(now) if assessment.admissible else None
        until = now if change is None else change
        made = Assessed(reads, snapshot.mark, now, until, assessment)
        if change is not None:
            self._table.put(key, made)
        return assessment, made

    def clear(self) -> None:
        """Drop every assessment."""
        self._table.clear(End.CLOCK)
