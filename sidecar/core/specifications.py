"""Step 3, where a model is tuned: a signed specification says beforehand what it will be for.

A tuning job names the specification by its digest: which models may be tuned under it, where the
result may run, and which suites it must pass first. The manifest of what came out of the job names
it too, and may then say nothing else. So what was declared before the evaluation cannot be fitted
to its outcome, and withdrawing a specification ends every model that was tuned under it.

A customer vouches for it, and only for environments that are all its own: the specification of one
customer must not open another's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.core.assessment import Finding, Inquiry, Question, Specified
from sidecar.core.cascade import Cascade
from sidecar.core.evidence import (
    Environment,
    EnvironmentSpec,
    Evidence,
    Manifest,
    Signer,
    Specification,
    specification_blob,
)
from sidecar.core.grants import CUSTOMER, Scope
from sidecar.core.patterns import any_covers, any_matches
from sidecar.core.reasons import Reason
from sidecar.core.standing import grant_for


@dataclass(frozen=True, slots=True)
class Pledge:
    """A specification that holds, with every customer whose signature counts for it."""

    item: Evidence[Specification]
    signers: tuple[Signer, ...]


def for_tuning(
    inquiry: Inquiry, environment: Evidence[Environment], names: tuple[str, ...]
) -> tuple[Pledge | None, Finding]:
    """Return the specification a tuning job came with, and what step 3 says of it.

    Args:
        inquiry: The call, with the specification's digest.
        environment: The one that tunes.
        names: What would be tuned, as ``provider/id``.
    """
    digest = inquiry.call.specification
    if digest is None:
        detail = "the job came without an environment specification"
        return None, Finding(3, inquiry.call.operation, Reason.SPECIFICATION_MISSING, detail)

    def refused(detail: str) -> tuple[None, Finding]:
        return None, Finding(3, digest, Reason.SPECIFICATION_UNVERIFIED, detail)

    item = inquiry.state.specifications.get(digest)
    if item is None:
        return refused("no specification of this digest is known")
    declared = environment.predicate
    here = Scope(environment.statement.subject.name, declared.sector)
    signers = tuple(
        signer
        for signer in _customers(inquiry, item, names)
        if grant_for(inquiry.state, signer.authority, CUSTOMER, here, declared.jurisdictions)
    )
    if not signers:
        return refused(_unsigned(item) + " and the one that tunes")
    if not item.predicate.window.holds(inquiry.now):
        return refused("outside the specification's window")
    problem = _problem(item.predicate, names)
    if problem is not None:
        return refused(problem)
    return Pledge(item, signers), Finding(3, digest, None, f"signed by {signers[0].authority}")


def for_manifests(
    question: Question, manifests: Iterable[Evidence[Manifest]]
) -> tuple[tuple[Pledge, ...], Finding | None]:
    """Return the specifications that a manifest and its parents name, and what step 3 says.

    Such a specification needs signatures that count now, like all evidence; its window need only
    have held when the run began, for that is when it was relied on.
    """
    pledges: list[Pledge] = []
    for item in manifests:
        named = item.predicate.specification
        if named is None:
            continue
        pledge = _pledge(question.inquiry, item, named.sha256)
        if isinstance(pledge, str):
            detail = f"{item.predicate.model.id} was tuned under {named.sha256}: {pledge}"
            return (), Finding(3, question.model, Reason.SPECIFICATION_UNVERIFIED, detail)
        pledges.append(pledge)
    if not pledges:
        return (), None
    digests = ", ".join(pledge.item.digest for pledge in pledges)
    return tuple(pledges), Finding(3, question.model, None, f"tuned under {digests}")


def relied_on(pledge: Pledge, cascaded: Cascade) -> Specified:
    """Choose the customer to rely on: one whose key stands, if there is one."""
    return Specified(pledge.item, cascaded.preferred(pledge.item, pledge.signers))


def _pledge(inquiry: Inquiry, manifest: Evidence[Manifest], digest: str) -> Pledge | str:
    """The specification a manifest names, or why it does not count for it."""
    item = inquiry.state.specifications.get(digest)
    if item is None:
        return "no specification of this digest is known"
    claim = manifest.predicate
    names = (f"{claim.model.provider}/{claim.model.base}",)
    signers = _customers(inquiry, item, names)
    if not signers:
        return _unsigned(item)
    if not item.predicate.window.holds(claim.run.started):
        return "it did not hold when the run began"
    said = specification_blob(item.predicate.environments, item.predicate.envelope)
    if specification_blob(claim.environments, claim.envelope) != said:
        return "the manifest's environments or suites are not those that were specified"
    return _problem(item.predicate, names) or Pledge(item, signers)


def _problem(specification: Specification, names: tuple[str, ...]) -> str | None:
    """What a specification lacks for these models to be tuned under it."""
    outside = sorted(name for name in names if not any_matches(specification.models, name))
    if outside:
        return "it does not cover tuning " + ", ".join(outside)
    unanswered = specification.unanswered()
    if unanswered:
        return "it declares no compliance suite for " + ", ".join(unanswered)
    return None


def _customers(
    inquiry: Inquiry, item: Evidence[Specification], names: tuple[str, ...]
) -> tuple[Signer, ...]:
    """Signers that count: customers of every environment it names, with a key valid now."""
    return tuple(
        signer
        for signer in item.signers
        if inquiry.state.keys[signer].agrees(inquiry.now)
        and all(
            _is_customer_of(inquiry, signer, spec, names) for spec in item.predicate.environments
        )
    )


def _is_customer_of(
    inquiry: Inquiry, signer: Signer, spec: EnvironmentSpec, names: tuple[str, ...]
) -> bool:
    """Whether one grant covers everything that the pattern ``spec.id`` covers."""
    return any(
        grant.role == CUSTOMER
        and any_covers(grant.environments, spec.id)
        and any_matches(grant.sectors, spec.sector)
        and all(any_matches(grant.jurisdictions, name) for name in spec.jurisdictions)
        and all(any_matches(grant.models, name) for name in names)
        for grant in inquiry.state.operator.of(signer.authority)
    )


def _unsigned(item: Evidence[Specification]) -> str:
    names = ", ".join(sorted({signer.authority for signer in item.signers}))
    return f"signed by {names}: no customer of every environment it names"
