"""Steps 1 and 2: from a credential to a declared environment, from a model id to one manifest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sidecar.core.assessment import Finding, Inquiry, Question
from sidecar.core.evidence import Environment, Evidence, Manifest, Signer
from sidecar.core.grants import CUSTOMER, PRODUCER, Scope
from sidecar.core.patterns import any_matches
from sidecar.core.reasons import Reason
from sidecar.core.standing import grant_for, in_force, next_beginning, standing

MAX_PARENTS = 16
"""Longest chain of manifests that were tuned from one another."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Step 2's answer: the manifest (null for a listed base model) and where it comes from.

    ``parents`` pairs each manifest with the producers' signers that count for it.
    """

    manifest: Evidence[Manifest] | None
    parents: tuple[tuple[Evidence[Manifest], tuple[Signer, ...]], ...]
    base: str
    grantees: tuple[str, ...]


def environment(inquiry: Inquiry) -> tuple[Evidence[Environment] | None, Finding]:
    """Step 1: the credential holds now and names one environment with a verified declaration.

    Of several declarations that hold, the one that begins last is in force: declaring anew is
    ordinary. Two that begin together are ambiguous and neither counts.
    """
    credential, state, now = inquiry.credential, inquiry.state, inquiry.now
    name = credential.spiffe_id
    if credential.expires <= now:
        return None, Finding(1, name, Reason.CREDENTIAL_EXPIRED, "the credential has expired")
    if not _vouched(inquiry):
        detail = f"{credential.authority} is not granted trust domain {credential.trust_domain}"
        return None, Finding(1, name, Reason.CREDENTIAL_INVALID, detail)
    valid = [item for item in state.environments.get(name, ()) if _declared(inquiry, item)]
    if not valid:
        return None, Finding(
            1, name, Reason.ENVIRONMENT_UNKNOWN, "no customer's declaration of it holds now"
        )
    newest, *others = in_force(valid)
    if others:
        return None, Finding(
            1, name, Reason.ENVIRONMENT_UNKNOWN, "several declarations of it begin together"
        )
    return newest, Finding(1, name, None, f"declared by {newest.signers[0].authority}")


def next_declaration(inquiry: Inquiry, name: str) -> datetime | None:
    """When a declaration of the environment ``name`` that is not in force yet begins."""
    state = inquiry.state
    items = ((item, _customers(inquiry, item)) for item in inquiry.state.environments.get(name, ()))
    return next_beginning(state, items, inquiry.now)


def _customers(inquiry: Inquiry, item: Evidence[Environment]) -> tuple[Signer, ...]:
    """Signers of a declaration that are granted it, whether or not their keys hold now."""
    scope = Scope(item.statement.subject.name, item.predicate.sector)
    return tuple(
        signer
        for signer in item.signers
        if grant_for(inquiry.state, signer.authority, CUSTOMER, scope, item.predicate.jurisdictions)
    )


def declarers(inquiry: Inquiry, item: Evidence[Environment]) -> tuple[Signer, ...]:
    """Customers whose signature under a declaration counts."""
    scope = Scope(item.statement.subject.name, item.predicate.sector)
    return standing(inquiry.state, item, CUSTOMER, scope, item.predicate.jurisdictions, inquiry.now)


def _declared(inquiry: Inquiry, item: Evidence[Environment]) -> bool:
    return item.predicate.window.holds(inquiry.now) and bool(declarers(inquiry, item))


def _vouched(inquiry: Inquiry) -> bool:
    credential = inquiry.credential
    return any(
        grant.role == CUSTOMER
        and credential.trust_domain in grant.trust_domains
        and any_matches(grant.environments, credential.spiffe_id)
        for grant in inquiry.state.operator.of(credential.authority)
    )


def manifest(question: Question) -> tuple[Resolved | None, Finding]:
    """Step 2: exactly one unsuperseded manifest, or a base model the environment lists."""
    call, state = question.inquiry.call, question.inquiry.state
    found = state.unsuperseded(call.provider, question.target)
    if len(found) > 1:
        detail = f"{len(found)} manifests, none of which supersedes the others"
        return None, Finding(2, question.model, Reason.MANIFEST_AMBIGUOUS, detail)
    if not found:
        return _listed_base(question)
    return _with_parents(question, found[0])


def _listed_base(question: Question) -> tuple[Resolved | None, Finding]:
    """A base model needs the customer's list *and* a provider that answers for it as a base.

    What is called must be on the list for calls, what is tuned on the one for tuning. The provider
    keeps a customer from listing an adapted model as if it were a base model, which
    would go around every other authority.
    """
    inquiry = question.inquiry
    grantees = inquiry.state.operator.base_model_grantees(inquiry.call.provider, question.target)
    if not grantees:
        return None, Finding(
            2, question.model, Reason.MANIFEST_MISSING, "no manifest, and no known base model"
        )
    declared, uses = question.environment.predicate, []
    if question.model in inquiry.call.models:
        uses.append((declared.base_models, "list"))
    if question.model in inquiry.call.tuned:
        uses.append((declared.tuning_models, "list for tuning"))
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
    """Follow ``parent`` to the base model; every manifest on the way must be a producer's."""
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
        if len(parents) == MAX_PARENTS:
            return None, _broken(question, Reason.MANIFEST_UNVERIFIED, child.id, "is too far up")
        parents.append((parent, signers))
        child = claim
    if (child.provider, child.base) in state.manifests:
        detail = f"{child.base} is an adapted model, but its manifest is not given as the parent"
        return None, Finding(2, question.model, Reason.MANIFEST_UNVERIFIED, detail)
    grantees = state.operator.base_model_grantees(child.provider, child.base)
    if not grantees:
        return None, Finding(
            2,
            question.model,
            Reason.BASE_MODEL_NOT_LISTED,
            f"no provider is granted the base model {child.base}",
        )
    resolved = Resolved(item, tuple(parents), child.base, grantees)
    return resolved, Finding(2, question.model, None, f"manifest {item.digest}")


def _producers(question: Question, parent: Evidence[Manifest]) -> tuple[Signer, ...]:
    claim = parent.predicate.model
    scope = Scope(question.scope.environment, question.scope.sector, f"{claim.provider}/{claim.id}")
    return standing(question.inquiry.state, parent, PRODUCER, scope, (), question.inquiry.now)


def _broken(question: Question, reason: Reason, child: str, why: str) -> Finding:
    return Finding(2, question.model, reason, f"the parent manifest of {child} {why}")
