"""Step 5: composite approval. Every required role, filled by authorities of its own.

The set of roles is a union, so nobody can make it smaller (law 5): what always holds, what the
manifest, the operator, the floors and a jurisdiction ask for, and a regulator for each
jurisdiction. A role answers for each jurisdiction of the environment; its approvals add up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sidecar.core.assessment import Counting, Finding, Question, RolePass
from sidecar.core.assignment import Offer, given
from sidecar.core.cascade import Cascade, Ranked
from sidecar.core.eligibility import eligible_signers, grant_for
from sidecar.core.evidence import Evidence
from sidecar.core.grants import REGULATOR
from sidecar.core.patterns import any_matches
from sidecar.core.predicates import Approval, Manifest
from sidecar.core.reasons import Reason
from sidecar.core.shown_evidence import MOST_SHOWN, beyond
from sidecar.core.succession import required_approvals


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """A role, in one jurisdiction of the environment."""

    role: str
    jurisdiction: str

    def __str__(self) -> str:
        """Return ``role``, or ``role for jurisdiction`` where a jurisdiction requires its own."""
        return f"{self.role} for {self.jurisdiction}" if self.role == REGULATOR else self.role


ApprovalOffers = tuple[Offer[Evidence[Approval]], ...]


def requirements(question: Question, item: Evidence[Manifest]) -> tuple[Requirement, ...]:
    """Return everything that must be approved, sorted; never empty."""
    found = required_approvals(question.inquiry.state, question.effective, item)
    return tuple(Requirement(role, jurisdiction) for role, jurisdiction in found)


def offers(
    question: Question, item: Evidence[Manifest]
) -> dict[Requirement, ApprovalOffers | Reason]:
    """Return for each requirement the approvals that could fill it, or why there is none."""
    return {each: _offers(question, item, each) for each in requirements(question, item)}


def checked(
    question: Question, found: dict[Requirement, ApprovalOffers | Reason]
) -> Finding | None:
    """Return why step 5 cannot hold for any choice of approvers; ``None`` if it can."""
    lacking: dict[Reason, dict[str, None]] = {}
    for requirement, offered in found.items():
        if isinstance(offered, Reason):
            lacking.setdefault(offered, {})[_named(requirement, found)] = None
    for reason in _ORDER:
        if reason in lacking:
            names = tuple(lacking[reason])
            detail = f"{_WHY[reason]} " + ", ".join(names)
            return Finding(5, question.model, reason, detail, names)
    return None


def ranked(
    found: dict[Requirement, ApprovalOffers | Reason], cascade: Cascade
) -> list[Ranked[Evidence[Approval]]]:
    """Return for each requirement with approvals these, best first, each with its defect."""
    rows = []
    for requirement, offered in given(found).items():
        order = sorted(
            (
                cascade.defect(o.item, o.signer),
                -o.item.predicate.window.not_after.timestamp(),
                o.signer,
                o.item.digest,
                number,
            )
            for number, o in enumerate(offered)
        )
        rows.append(Ranked(requirement.role, [(row[0], offered[row[-1]]) for row in order]))
    return rows


def unassignable(question: Question, found: dict[Requirement, ApprovalOffers | Reason]) -> Finding:
    """Return step 5 where every role has approvals but too few authorities give them."""
    names = tuple(dict.fromkeys(str(requirement) for requirement in found))
    detail = "one authority, and one key, fills one role: too few for " + ", ".join(names)
    return Finding(5, question.model, Reason.APPROVAL_MISSING, detail, names)


def approved(
    question: Question,
    found: dict[Requirement, ApprovalOffers | Reason],
    chosen: Sequence[Offer[Evidence[Approval]]],
    counting: Sequence[ApprovalOffers],
) -> tuple[tuple[RolePass, ...], tuple[Counting, ...], Finding]:
    """Return step 5 with the approvals that were chosen, one for each requirement.

    Args:
        question: The model in its environment.
        found: From ``offers``; each requirement has approvals.
        chosen: For each requirement, the approval to rely on.
        counting: For each requirement, every approval that counts beside it.

    Returns:
        What was chosen, everything that counts, and the finding.
    """
    rows = [
        (requirement, offer, _of_record(question, requirement, offer.signer.authority))
        for requirement, offered in zip(found, counting, strict=True)
        for offer in offered
    ]
    recorded = {id(offer): of_record for _, offer, of_record in rows}
    passes = {
        (entry.role, entry.jurisdiction, entry.approval.digest, entry.signer): entry
        for requirement, offer in zip(found, chosen, strict=True)
        for entry in (_pass(requirement, offer, of_record=recorded[id(offer)]),)
    }
    every = tuple(_counting(question.effective.jurisdictions, rows))
    authorities = ", ".join(sorted({entry.signer.authority for entry in passes.values()}))
    most = len(every)
    if most > MOST_SHOWN:
        most = max(Counter(entry.role for entry in every).values())
    detail = f"approved by {authorities}" + beyond(most, "approvals of a role")
    return tuple(passes.values()), every, Finding(5, question.model, None, detail)


def _counting(
    effective: tuple[str, ...],
    rows: Iterable[tuple[Requirement, Offer[Evidence[Approval]], bool]],
) -> Iterator[Counting]:
    """Yield each approval once for its role and author, with the jurisdictions it counts for."""
    places: dict[tuple[str, str, str, bool], list[str]] = {}
    approvals: dict[str, Evidence[Approval]] = {}
    for requirement, offer, of_record in rows:
        item = offer.item
        at = requirement.role, offer.signer.authority, item.digest, of_record
        places.setdefault(at, []).append(requirement.jurisdiction)
        approvals[item.digest] = item
    for at in sorted(places):
        role, authority, digest, of_record = at
        found = tuple([name for name in effective if name in places[at]])
        yield Counting(role, found, approvals[digest], authority, of_record)


_ORDER = (
    Reason.APPROVAL_MISSING,
    Reason.APPROVAL_NOT_IN_WINDOW,
    Reason.APPROVAL_OUT_OF_SCOPE,
)
_WHY = {
    Reason.APPROVAL_MISSING: "no approval by",
    Reason.APPROVAL_NOT_IN_WINDOW: "the approval is outside its window by",
    Reason.APPROVAL_OUT_OF_SCOPE: "the approval does not cover this call by",
}


def _offers(
    question: Question, item: Evidence[Manifest], requirement: Requirement
) -> ApprovalOffers | Reason:
    inquiry = question.inquiry
    needed, model = (requirement.jurisdiction,), item.predicate.model.id
    eligible: list[Offer[Evidence[Approval]]] = []
    for approval in inquiry.state.approvals.get(item.digest, ()):
        statement = approval.statement
        if statement.predicate.role != requirement.role or statement.subject.name != model:
            continue
        signers = eligible_signers(
            inquiry.state, approval, requirement.role, question.scope, needed, inquiry.now
        )
        eligible.extend(Offer(signer, approval) for signer in signers)
    if not eligible:
        return Reason.APPROVAL_MISSING
    in_scope = [o for o in eligible if _in_scope(question, o.item.predicate, requirement)]
    if not in_scope:
        return Reason.APPROVAL_OUT_OF_SCOPE
    current = tuple(o for o in in_scope if o.item.predicate.window.holds(inquiry.now))
    return current or Reason.APPROVAL_NOT_IN_WINDOW


def _in_scope(question: Question, approval: Approval, requirement: Requirement) -> bool:
    return (
        requirement.jurisdiction in approval.jurisdictions
        and any_matches(approval.environments, question.scope.environment)
        and question.inquiry.call.operation in approval.operations
    )


def _named(requirement: Requirement, found: dict[Requirement, ApprovalOffers | Reason]) -> str:
    """Name the jurisdiction too where the role lacks it and has others."""
    every = [each for each in found if each.role == requirement.role]
    if requirement.role == REGULATOR or all(found[e] == found[requirement] for e in every):
        return str(requirement)
    return f"{requirement.role} for {requirement.jurisdiction}"


def _pass(
    requirement: Requirement, offer: Offer[Evidence[Approval]], *, of_record: bool
) -> RolePass:
    return RolePass(
        role=requirement.role,
        jurisdiction=requirement.jurisdiction if requirement.role == REGULATOR else None,
        approval=offer.item,
        signer=offer.signer,
        of_record=of_record,
    )


def _of_record(question: Question, requirement: Requirement, authority: str) -> bool:
    """Return whether the grant that counts lets an authority speak for another organisation."""
    operator, needed = question.inquiry.state.operator, (requirement.jurisdiction,)
    grant = grant_for(operator, authority, requirement.role, question.scope, needed)
    return grant is not None and grant.of_record
