"""Names the evidence about a call that is there, verified, and counts for nothing now.

A denial states what is missing. The next question is whether it was ever signed: an approval whose
key was rotated, or that has ended, is asked for as if nobody had approved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from rich.text import Text

from sidecar.cli.evidence_view import NotCountingReason, hindrances
from sidecar.core.assessment import Assessment
from sidecar.core.call import Call
from sidecar.core.evidence import Evidence
from sidecar.core.kinds import kind_of
from sidecar.core.predicates import Predicate
from sidecar.core.snapshot import TrustState

SHOWN = 8
"""How many are listed for people; programs get all."""


@dataclass(frozen=True, slots=True)
class NotCounting:
    """A statement of known authorities of which no signature counts now.

    Attributes:
        kind: The noun of its kind.
        digest: Of its payload, hex.
        authorities: Who signed it.
        problem: Why it does not count, one sentence.
        remedy: What to do about it.
    """

    kind: str
    digest: str
    authorities: tuple[str, ...]
    problem: str
    remedy: str


def not_counting(
    assessment: Assessment, call: Call, spiffe_id: str, state: TrustState, now: datetime
) -> tuple[NotCounting, ...]:
    """Return what was signed about a denied call and does not count; nothing of an admitted one."""
    if assessment.admissible:
        return ()
    return tuple(
        found
        for item in _about(assessment, call, spiffe_id, state)
        if (found := _judged(item, state, now)) is not None
    )


def _about(
    assessment: Assessment, call: Call, spiffe_id: str, state: TrustState
) -> Iterator[Evidence[Predicate]]:
    """Yield the evidence about the environment, the names and the manifests of a call."""
    yield from state.environments.get(spiffe_id, ())
    digests = list(assessment.manifests)
    for name in dict.fromkeys((*call.named, *call.deployments)):
        yield from state.bindings.get((call.provider, name), ())
        for manifest in state.manifests.get((call.provider, name), ()):
            if not digests or manifest.digest in digests:
                yield manifest
                yield from state.results.get(manifest.digest, ())
                yield from state.approvals.get(manifest.digest, ())


def _judged(item: Evidence[Predicate], state: TrustState, now: datetime) -> NotCounting | None:
    each = {signer: hindrances(signer, item.statement, state, now) for signer in item.signers}
    if not all(each.values()):
        return None
    first: NotCountingReason = next(iter(each.values()))[0]
    authorities = tuple(sorted({signer.authority for signer in each}))
    noun = kind_of(item.predicate).noun
    return NotCounting(noun, item.digest, authorities, first.problem, first.remedy)


def lines(found: tuple[NotCounting, ...]) -> Iterator[Text]:
    """Yield what is shown to people: what does not count, why, and what to do."""
    for one in found[:SHOWN]:
        who = ", ".join(one.authorities)
        yield Text(f"not counting: {one.kind} {one.digest[:12]} by {who}: {one.problem}")
        yield Text(f"→ {one.remedy}", style="cyan")
    if len(found) > SHOWN:
        yield Text(f"and {len(found) - SHOWN} more, see --json")
