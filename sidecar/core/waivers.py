"""Waivers: what a jurisdiction's own regulator excuses. Read by policies, by no step.

A waiver is optional evidence, so every doubt drops it instead of denying: a signer without the
regulator role for exactly that jurisdiction, a key or a window that does not hold, a withdrawal of
the waiver, its key or its signer. Whoever signed one that could count is a constituent all the
same: what it withdraws elsewhere is heard.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.core.assessment import Inquiry, Waived
from sidecar.core.cascade import Cascade
from sidecar.core.evidence import Environment, Evidence, Manifest, Signer, Subject, Waiver
from sidecar.core.grants import REGULATOR, Scope
from sidecar.core.standing import standing
from sidecar.core.wire import DigestSet


@dataclass(frozen=True, slots=True)
class Candidate:
    """A waiver in its window and the regulators whose signatures count for it."""

    waiver: Evidence[Waiver]
    signers: tuple[Signer, ...]


def candidates(
    inquiry: Inquiry,
    environment: Evidence[Environment],
    manifests: Iterable[Evidence[Manifest]],
) -> tuple[Candidate, ...]:
    """Return the waivers about this environment or one of these manifests that could count."""
    scope = Scope(environment.statement.subject.name, environment.predicate.sector)
    found = list(_about(inquiry, environment, environment.statement.subject, scope))
    for item in manifests:
        model = item.predicate.model
        about = Scope(scope.environment, scope.sector, f"{model.provider}/{model.id}")
        subject = Subject(model.id, DigestSet(item.digest))
        found.extend(_about(inquiry, environment, subject, about))
    return tuple(found)


def standing_ones(cascaded: Cascade, found: Iterable[Candidate]) -> tuple[Waived, ...]:
    """Return those that nobody withdrew, each with the signer to rely on."""
    return tuple(
        Waived(candidate.waiver, signers[0])
        for candidate in found
        if (signers := [s for s in candidate.signers if not cascaded.tainted(candidate.waiver, s)])
    )


def _about(
    inquiry: Inquiry, environment: Evidence[Environment], subject: Subject, scope: Scope
) -> Iterable[Candidate]:
    for item in inquiry.state.waivers.get(subject.digest.sha256, ()):
        waiver = item.predicate
        if item.statement.subject != subject:
            continue
        if waiver.jurisdiction not in environment.predicate.jurisdictions:
            continue
        if not waiver.window.holds(inquiry.now):
            continue
        needed = (waiver.jurisdiction,)
        signers = standing(inquiry.state, item, REGULATOR, scope, needed, inquiry.now)
        if signers:
            yield Candidate(item, signers)
