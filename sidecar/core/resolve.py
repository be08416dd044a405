"""Steps 1 and 2: from a credential to declared environments, from a model id to manifests.

Where several declarations or manifests could hold, all are returned, newest first, and the first
that is admissible is taken: what is lost among them can only deny.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sidecar.core.assessment import Finding, Inquiry, Question
from sidecar.core.eligibility import (
    beginning,
    eligible_signers,
    newest_of_each_author,
    next_beginning,
    signed_by,
)
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.grants import CUSTOMER, PRODUCER, Scope
from sidecar.core.patterns import any_matches
from sidecar.core.predicates import Environment, Manifest
from sidecar.core.reasons import Reason
from sidecar.core.succession import MAX_LINKS


@dataclass(frozen=True, slots=True)
class Resolved:
    """Step 2's answer: the manifest (``None`` for a listed base model) and where it comes from.

    ``parents`` pairs each manifest with the producers' signers that count for it; ``grantees`` are
    the providers that answer for the base model here.
    """

    manifest: Evidence[Manifest] | None
    parents: tuple[tuple[Evidence[Manifest], tuple[Signer, ...]], ...]
    base: str
    grantees: tuple[str, ...]

    def names(self, provider: str) -> frozenset[str]:
        """Return ``provider/id`` of the base, of each manifest's model and of its run's models."""
        manifests = [parent.predicate for parent, _ in self.parents]
        if self.manifest is not None:
            manifests.append(self.manifest.predicate)
        claims = [manifest.model for manifest in manifests]
        found = {f"{claim.provider}/{name}" for claim in claims for name in (claim.id, claim.base)}
        used = {name for manifest in manifests for name in manifest.run.models or ()}
        return frozenset({f"{provider}/{self.base}", *found, *used})


def environments(inquiry: Inquiry) -> tuple[tuple[Evidence[Environment], ...], Finding]:
    """Step 1: the credential holds now and names one environment with verified declarations.

    An author's newest declaration replaces its older ones. Of several authors, each one's newest
    is returned, newest first; there is none exactly where the finding refuses.
    """
    credential, state, now = inquiry.credential, inquiry.state, inquiry.now
    name = credential.spiffe_id
    if credential.expires <= now:
        return (), Finding(1, name, Reason.CREDENTIAL_EXPIRED, "the credential has expired")
    if not _vouched(inquiry):
        domain = credential.trust_domain
        detail = (
            f"{credential.authority} has no grant with trust domain {domain} whose environments"
            " include it"
        )
        return (), Finding(1, name, Reason.CREDENTIAL_INVALID, detail)
    known = state.environments.get(name, ())
    counting = {item.digest: declarers(inquiry, item) for item in known}
    found = newest_of_each_author(counting, known, now)
    if not found:
        detail = "no customer's declaration of it holds now"
        return (), Finding(1, name, Reason.ENVIRONMENT_UNKNOWN, detail)
    return found, Finding(1, name, None, "declared")


def declared(inquiry: Inquiry, item: Evidence[Environment]) -> Finding:
    """Step 1 for one declaration: it is not below the operator's floors (law 5)."""
    effective = inquiry.effective(item)
    if effective.unmet_sectors:
        detail = (
            f"declared for sector {effective.sector}, and the operator's floor demands "
            + ", ".join(effective.unmet_sectors)
        )
        return Finding(1, effective.environment, Reason.ENVIRONMENT_BELOW_FLOOR, detail)
    keys = inquiry.state.keys
    signer = next(s for s in inquiry.customers(item) if keys[s].agrees(inquiry.now))
    return Finding(1, effective.environment, None, f"declared by {signer.authority}")


def next_declaration(inquiry: Inquiry, name: str) -> datetime | None:
    """Return when a declaration of the environment that is not in force yet begins."""
    state = inquiry.state
    items = ((item, inquiry.customers(item)) for item in state.environments.get(name, ()))
    return next_beginning(state, items, inquiry.now)


def declarers(inquiry: Inquiry, item: Evidence[Environment]) -> tuple[Signer, ...]:
    """Return the customers whose signature under a declaration counts as agreement."""
    keys = inquiry.state.keys
    return tuple(s for s in inquiry.customers(item) if keys[s].agrees(inquiry.now))


def _vouched(inquiry: Inquiry) -> bool:
    credential = inquiry.credential
    return any(
        grant.role == CUSTOMER
        and credential.trust_domain in grant.trust_domains
        and any_matches(grant.environments, credential.spiffe_id)
        for grant in inquiry.state.operator.of(credential.authority)
    )


def manifests(question: Question) -> tuple[tuple[Resolved | None, Finding], ...]:
    """Step 2: the manifests in force, newest first, or the base model that is listed.

    One that supersedes another and did not take over yet comes last (law 7).
    """
    call, state = question.inquiry.call, question.inquiry.state
    known = state.manifests.get((call.provider, question.target), ())
    if not known and question.name not in state.adapted:
        return (_listed_base(question),)
    jurisdictions = question.effective.jurisdictions
    granted = [
        item
        for item in known
        if signed_by(state.operator, item, PRODUCER, question.scope, jurisdictions)
    ]
    environment = question.scope.environment
    found = [i for i in granted or known if (i.digest, environment) not in state.taken_over]
    if not found:
        detail = (
            "every known manifest was superseded, and the successor is missing now"
            if known
            else "a manifest of it was known, and is missing now"
        )
        return ((None, Finding(2, question.model, Reason.MANIFEST_MISSING, detail)),)
    here = {item.digest for item in found}
    newest = sorted(found, key=beginning, reverse=True)
    return tuple(
        _with_parents(question, item) for item in sorted(newest, key=lambda i: _pending(i, here))
    )


def _pending(item: Evidence[Manifest], here: set[str]) -> bool:
    supersedes = item.predicate.supersedes
    return supersedes is not None and supersedes.sha256 in here


def _listed_base(question: Question) -> tuple[Resolved | None, Finding]:
    """Require the customer's list *and* a provider that answers for the model as a base.

    What is called must be on the list for calls, what is tuned on the one for tuning. The provider
    keeps a customer from listing an adapted model as if it were a base model, which
    would go around every other authority.
    """
    inquiry = question.inquiry
    if inquiry.call.sandbox:
        detail = "no manifest, and the sandbox is for adapted models alone"
        return None, Finding(2, question.model, Reason.MANIFEST_MISSING, detail)
    grantees = _grantees(question, inquiry.call.provider, question.target)
    if not grantees:
        detail = "no manifest, and no known base model"
        return None, Finding(2, question.model, Reason.MANIFEST_MISSING, detail)
    given, uses = question.environment.predicate, []
    if question.model in inquiry.call.models:
        uses.append((given.base_models, "list"))
    if question.model in inquiry.call.tuned:
        uses.append((given.tuning_models, "list for tuning"))
    for patterns, verb in uses:
        if not any_matches(patterns, question.name):
            return None, Finding(
                2,
                question.model,
                Reason.BASE_MODEL_NOT_LISTED,
                f"a base model that the environment's declaration does not {verb}",
            )
    resolved = Resolved(None, (), question.target, grantees)
    return resolved, Finding(2, question.model, None, "a base model the environment lists")


def _with_parents(question: Question, item: Evidence[Manifest]) -> tuple[Resolved | None, Finding]:
    """Follow ``parent`` to the base model; every manifest passed must be a producer's."""
    state = question.inquiry.state
    parents: list[tuple[Evidence[Manifest], tuple[Signer, ...]]] = []
    child = item.predicate.model
    while child.parent is not None:
        parent = state.manifests_by_digest.get(child.parent.sha256)
        if parent is None:
            return None, _broken(question, Reason.MANIFEST_MISSING, child.id, "is not known")
        claim = parent.predicate.model
        signers = _producers(question, parent)
        if (claim.provider, claim.id) != (child.provider, child.base) or not signers:
            return None, _broken(question, Reason.MANIFEST_UNVERIFIED, child.id, "does not count")
        if len(parents) == MAX_LINKS:
            return None, _broken(question, Reason.MANIFEST_UNVERIFIED, child.id, "is too far up")
        parents.append((parent, signers))
        child = claim
    if f"{child.provider}/{child.base}" in state.adapted:
        detail = f"{child.base} is an adapted model, but its manifest is not given as the parent"
        return None, Finding(2, question.model, Reason.MANIFEST_UNVERIFIED, detail)
    grantees = _grantees(question, child.provider, child.base)
    if not grantees:
        return None, Finding(
            2,
            question.model,
            Reason.BASE_MODEL_NOT_LISTED,
            f"no provider is granted the base model {child.base}",
        )
    resolved = Resolved(item, tuple(parents), child.base, grantees)
    return resolved, Finding(2, question.model, None, f"manifest {item.digest}")


def _grantees(question: Question, provider: str, base: str) -> tuple[str, ...]:
    scope = Scope(question.scope.environment, question.scope.sector)
    operator = question.inquiry.state.operator
    return operator.base_model_grantees(provider, base, scope, question.effective.jurisdictions)


def _producers(question: Question, parent: Evidence[Manifest]) -> tuple[Signer, ...]:
    claim = parent.predicate.model
    scope = Scope(question.scope.environment, question.scope.sector, f"{claim.provider}/{claim.id}")
    state, now = question.inquiry.state, question.inquiry.now
    return eligible_signers(state, parent, PRODUCER, scope, (), now)


def _broken(question: Question, reason: Reason, child: str, why: str) -> Finding:
    return Finding(2, question.model, reason, f"the parent manifest of {child} {why}")
