"""Step 3, where a model is tuned: check the specification that was signed beforehand.

A tuning job names the specification by its digest: which models may be tuned under it, where the
result may run, and which suites it must pass first. The manifest of the resulting model names it
too, and must declare the same. So what was declared before the evaluation cannot be fitted to its
outcome, and withdrawing a specification ends every model that was tuned under it.

A customer signs it, and only for environments that are all its own: the specification of one
customer must not open another's. A later one may *extend* it, so that a model can gain an
environment, an operation, a jurisdiction or a suite, and can lose nothing that was specified.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sidecar.core.assessment import Finding, Inquiry, Question, Specified
from sidecar.core.cascade import Cascade
from sidecar.core.eligibility import grant_for
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.grants import CUSTOMER, Scope
from sidecar.core.patterns import any_covers, any_matches
from sidecar.core.predicates import Environment, EnvironmentSpec, Manifest, Specification
from sidecar.core.reasons import Reason
from sidecar.core.succession import MAX_LINKS


@dataclass(frozen=True, slots=True)
class SignedSpecification:
    """A specification that holds, with every customer whose signature counts for it.

    ``extended`` are the specifications that it extends, nearest first, with theirs.
    """

    item: Evidence[Specification]
    signers: tuple[Signer, ...]
    extended: tuple[tuple[Evidence[Specification], tuple[Signer, ...]], ...] = ()


def for_tuning(
    inquiry: Inquiry, environment: Evidence[Environment], names: tuple[str, ...]
) -> tuple[SignedSpecification | None, Finding]:
    """Return the specification of a tuning job, and its finding in step 3.

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
    effective = inquiry.effective(environment)
    here = Scope(effective.environment, effective.sector)
    operator = inquiry.state.operator
    signers = tuple(
        signer
        for signer in _customers(inquiry, item, names)
        if grant_for(operator, signer.authority, CUSTOMER, here, effective.jurisdictions)
    )
    if not signers:
        return refused(_unsigned(item) + " and the one that tunes")
    if not item.predicate.window.holds(inquiry.now):
        return refused("outside the specification's window")
    extended = _extended(inquiry, item, names)
    if isinstance(extended, str):
        return refused(extended)
    finding = Finding(3, digest, None, f"signed by {signers[0].authority}")
    return SignedSpecification(item, signers, extended), finding


def for_manifests(
    question: Question, manifests: Iterable[Evidence[Manifest]]
) -> tuple[tuple[SignedSpecification, ...], Finding | None]:
    """Return the specifications of a manifest and its parents, and the finding in step 3.

    Such a specification needs signatures that count now, like all evidence; its window need only
    have held when the run began, for that is when it was relied on. Whether a manifest may name
    none is the operator's to state.
    """
    found: list[SignedSpecification] = []
    for item in manifests:
        named = item.predicate.specification
        if named is None:
            if not question.inquiry.state.operator.specified:
                continue
            detail = f"{item.predicate.model.id} names none, and the operator requires it"
            return (), Finding(3, question.model, Reason.SPECIFICATION_MISSING, detail)
        signed = _signed_specification(question.inquiry, item, named.sha256)
        if isinstance(signed, str):
            detail = f"{item.predicate.model.id} was tuned under {named.sha256}: {signed}"
            return (), Finding(3, question.model, Reason.SPECIFICATION_UNVERIFIED, detail)
        found.append(signed)
    if not found:
        return (), None
    digests = ", ".join(signed.item.digest for signed in found)
    return tuple(found), Finding(3, question.model, None, f"tuned under {digests}")


def relied_on(signed: SignedSpecification, cascaded: Cascade) -> Specified:
    """Choose the customers to rely on: usable ones, if there are any."""
    return Specified(
        signed.item,
        cascaded.preferred(signed.item, signed.signers),
        tuple((item, cascaded.preferred(item, signers)) for item, signers in signed.extended),
    )


def _signed_specification(
    inquiry: Inquiry, manifest: Evidence[Manifest], digest: str
) -> SignedSpecification | str:
    """Return the specification a manifest names, or why it does not count for it."""
    item = inquiry.state.specifications.get(digest)
    if item is None:
        return "no specification of this digest is known"
    claim = manifest.predicate
    names = (f"{claim.model.provider}/{claim.model.base}",)
    signers = _customers(inquiry, item, names)
    if not signers:
        return _unsigned(item)
    extended = _extended(inquiry, item, names)
    if isinstance(extended, str):
        return extended
    untimely = _untimely(item, extended, claim)
    if untimely is not None:
        return untimely
    specified = item.predicate.environments, item.predicate.envelope
    if (claim.environments, claim.envelope) != specified:
        return "the manifest's environments or suites are not those that were specified"
    return SignedSpecification(item, signers, extended)


def _extended(
    inquiry: Inquiry, item: Evidence[Specification], names: tuple[str, ...]
) -> tuple[tuple[Evidence[Specification], tuple[Signer, ...]], ...] | str:
    """Return the specifications that one extends, nearest first, or why it does not count."""
    problem = _problem(item.predicate, names)
    if problem is not None:
        return problem
    found: list[tuple[Evidence[Specification], tuple[Signer, ...]]] = []
    current = item
    while current.predicate.extends is not None:
        digest = current.predicate.extends.sha256
        older = inquiry.state.specifications.get(digest)
        if older is None:
            return f"it extends {digest}, which is not known"
        if len(found) == MAX_LINKS:
            return f"it extends more than {MAX_LINKS} specifications, one after the other"
        signers = _customers(inquiry, older, names)
        if not signers:
            return f"it extends {digest}, {_unsigned(older)}"
        lost = next(taken_away(older.predicate, current.predicate), None)
        if lost is not None:
            return f"it takes away from {digest}, which it extends: {lost}"
        found.append((older, signers))
        current = older
    return tuple(found)


def _untimely(
    item: Evidence[Specification],
    extended: tuple[tuple[Evidence[Specification], tuple[Signer, ...]], ...],
    claim: Manifest,
) -> str | None:
    """Why a specification did not hold when it was relied on, if so."""
    first = extended[-1][0] if extended else item
    if not first.predicate.window.holds(claim.run.started):
        return "it did not hold when the run began"
    if extended and not item.predicate.window.holds(claim.window.not_before):
        return "the extension did not hold when the manifest's window began"
    return None


def taken_away(older: Specification, newer: Specification) -> Iterator[str]:
    """Name whatever ``older`` specifies and ``newer`` lacks, changes or makes easier.

    Empty for a valid extension: it only adds environments, operations, jurisdictions and suites.
    """
    for spec in older.environments:
        same = tuple(other for other in newer.environments if other.id == spec.id)
        if not same:
            yield f"environment {spec.id} is missing"
        elif not any(_widens(spec, other) for other in same):
            yield f"environment {spec.id}: {_narrowed(spec, same[0])}"
    for suite in older.envelope.suites:
        thresholds = [
            other.threshold
            for other in newer.envelope.suites
            if (other.kind, other.name, other.digest, other.jurisdiction)
            == (suite.kind, suite.name, suite.digest, suite.jurisdiction)
        ]
        what = f"{suite.kind} suite {suite.name} ({suite.digest.sha256})"
        if not thresholds:
            yield f"{what} is missing"
        elif max(thresholds) < suite.threshold:
            yield f"{what}: threshold {max(thresholds)} is below {suite.threshold}"


def _widens(older: EnvironmentSpec, newer: EnvironmentSpec) -> bool:
    return (
        (older.id, older.sector, older.purpose) == (newer.id, newer.sector, newer.purpose)
        and set(older.jurisdictions) <= set(newer.jurisdictions)
        and set(older.operations) <= set(newer.operations)
    )


def _narrowed(older: EnvironmentSpec, newer: EnvironmentSpec) -> str:
    """Return what the newer of two environments changes or lacks, field by field."""
    changed = [
        f"{name} is {now!r}, not {before!r}"
        for name, before, now in (
            ("sector", older.sector, newer.sector),
            ("purpose", older.purpose, newer.purpose),
        )
        if before != now
    ]
    missing = [
        f"{name} missing: {', '.join(sorted(lost))}"
        for name, lost in (
            ("jurisdictions", set(older.jurisdictions) - set(newer.jurisdictions)),
            ("operations", set(older.operations) - set(newer.operations)),
        )
        if lost
    ]
    return "; ".join((*changed, *missing))


def _problem(specification: Specification, names: tuple[str, ...]) -> str | None:
    """Return what a specification lacks for these models to be tuned under it."""
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
    """Return whether one grant covers everything that the pattern ``spec.id`` covers."""
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
