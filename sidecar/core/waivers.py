"""Selects the waivers of policy rules that count. Policies read them; no step depends on them.

A waiver is optional evidence, so every doubt drops it instead of denying: a signer without the
regulator role for exactly that jurisdiction, a key or a window that does not hold, stale trust
metadata, a withdrawal of the waiver, its key or its signer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.core.assessment import Inquiry, Waived
from sidecar.core.cascade import Cascade
from sidecar.core.eligibility import eligible_signers
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.grants import REGULATOR, Scope
from sidecar.core.predicates import Environment, Manifest, Subject, Waiver
from sidecar.core.wire import DigestSet


@dataclass(frozen=True, slots=True)
class WaiverOption:
    """A waiver in its window and the regulators whose signatures count for it."""

    waiver: Evidence[Waiver]
    signers: tuple[Signer, ...]


def options(
    inquiry: Inquiry,
    environment: Evidence[Environment],
    manifests: Iterable[Evidence[Manifest]],
) -> tuple[WaiverOption, ...]:
    """Return the waivers about this environment or one of these manifests that could count."""
    scope = Scope(environment.statement.subject.name, environment.predicate.sector)
    found = list(_about(inquiry, environment, environment.statement.subject, scope))
    for item in manifests:
        model = item.predicate.model
        about = Scope(scope.environment, scope.sector, f"{model.provider}/{model.id}")
        subject = Subject(model.id, DigestSet(item.digest))
        found.extend(_about(inquiry, environment, subject, about))
    return tuple(found)


def usable(cascaded: Cascade, found: Iterable[WaiverOption]) -> tuple[Waived, ...]:
    """Return those that are usable, once for each regulator to rely on."""
    return tuple(
        Waived(option.waiver, signer)
        for option in found
        for signer in cascaded.preferred_of_each(option.waiver, option.signers)
        if cascaded.usable(option.waiver, signer)
    )


def _about(
    inquiry: Inquiry, environment: Evidence[Environment], subject: Subject, scope: Scope
) -> Iterable[WaiverOption]:
    jurisdictions = inquiry.effective(environment).jurisdictions
    for item in inquiry.state.waivers.get(subject.digest.sha256, ()):
        waiver = item.predicate
        if item.statement.subject != subject:
            continue
        if waiver.jurisdiction not in jurisdictions:
            continue
        if not waiver.window.holds(inquiry.now):
            continue
        needed = (waiver.jurisdiction,)
        signers = eligible_signers(inquiry.state, item, REGULATOR, scope, needed, inquiry.now)
        if signers:
            yield WaiverOption(item, signers)
