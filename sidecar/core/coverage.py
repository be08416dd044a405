"""Step 3: the manifest is a granted producer's, in window, and covers this call."""

from __future__ import annotations

from sidecar.core.assessment import Finding, Question
from sidecar.core.eligibility import eligible_signers
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.grants import PRODUCER
from sidecar.core.patterns import matches
from sidecar.core.predicates import EnvironmentSpec, Manifest
from sidecar.core.reasons import Reason


def covered(question: Question, item: Evidence[Manifest]) -> tuple[tuple[Signer, ...], Finding]:
    """Return the producers' signers that count, and the step's finding."""
    inquiry = question.inquiry
    manifest = item.predicate
    producers = eligible_signers(
        inquiry.state, item, PRODUCER, question.scope, question.effective.jurisdictions, inquiry.now
    )

    def refused(reason: Reason, detail: str) -> tuple[tuple[Signer, ...], Finding]:
        return producers, Finding(3, question.model, reason, detail)

    if not producers:
        names = ", ".join(sorted({signer.authority for signer in item.signers}))
        return refused(
            Reason.MANIFEST_UNVERIFIED,
            f"signed by {names}: no producer granted it with a key valid now",
        )
    if not manifest.window.holds(inquiry.now):
        return refused(Reason.MANIFEST_NOT_IN_WINDOW, "outside the manifest's window")
    if manifest.model.shutdown is not None and manifest.model.shutdown <= inquiry.now:
        return refused(Reason.MANIFEST_NOT_IN_WINDOW, "the provider has shut the model down")
    specs = [spec for spec in manifest.environments if _covers(spec, question)]
    if not specs:
        return refused(
            Reason.ENVIRONMENT_NOT_COVERED, "the manifest does not cover this environment"
        )
    if not any(inquiry.call.operation in spec.operations for spec in specs):
        return refused(
            Reason.OPERATION_NOT_COVERED,
            f"the manifest does not cover {inquiry.call.operation} in this environment",
        )
    return producers, Finding(3, question.model, None, f"signed by {producers[0].authority}")


def _covers(spec: EnvironmentSpec, question: Question) -> bool:
    """Return whether a manifest's environment is that of the call.

    A sandbox is none of them: it stands in for those in all of its jurisdictions.
    """
    declared = question.environment.predicate
    if not set(question.effective.jurisdictions) <= set(spec.jurisdictions):
        return False
    return question.inquiry.call.sandbox or (
        matches(spec.id, question.scope.environment)
        and declared.sector == spec.sector
        and declared.purpose == spec.purpose
    )
