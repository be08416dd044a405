"""Step 5: composite approval. Every required role, each filled by an authority of its own.

The set of roles is a union, so nobody can make it smaller: what always holds, what the manifest
asks for, what the operator asks for, what a jurisdiction asks for, and a regulator for each
jurisdiction of the environment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sidecar.core.assessment import Finding, Question, RolePass
from sidecar.core.evidence import Approval, Evidence, Manifest, Signer
from sidecar.core.grants import ALWAYS_REQUIRED, REGULATOR
from sidecar.core.patterns import any_matches
from sidecar.core.reasons import Reason
from sidecar.core.standing import grant_for, standing


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """A role, and the jurisdiction it is needed for where it is a regulator's."""

    role: str
    jurisdiction: str = ""

    def __str__(self) -> str:
        """``role`` or ``role for jurisdiction``."""
        return f"{self.role} for {self.jurisdiction}" if self.jurisdiction else self.role


@dataclass(frozen=True, slots=True)
class Option:
    """An approval by one signer that could fill a requirement."""

    approval: Evidence[Approval]
    signer: Signer


def requirements(question: Question, item: Evidence[Manifest]) -> tuple[Requirement, ...]:
    """Return everything that must be approved, sorted; never empty."""
    operator = question.inquiry.state.operator
    jurisdictions = question.environment.predicate.jurisdictions
    roles = {*ALWAYS_REQUIRED, *item.predicate.approvals.required, *operator.required_roles}
    for name in jurisdictions:
        roles.update(operator.jurisdiction_roles.get(name, ()))
    roles.discard(REGULATOR)
    return tuple(
        sorted(
            {Requirement(role) for role in roles}
            | {Requirement(REGULATOR, name) for name in jurisdictions}
        )
    )


def candidates(
    question: Question, item: Evidence[Manifest]
) -> dict[Requirement, tuple[Option, ...] | Reason]:
    """Return for each requirement the approvals that could fill it, or why there is none."""
    return {
        requirement: _options(question, item, requirement)
        for requirement in requirements(question, item)
    }


def approved(
    question: Question,
    found: dict[Requirement, tuple[Option, ...] | Reason],
    taken: frozenset[Signer],
    tainted: Callable[[Evidence[Approval], Signer], bool],
) -> tuple[tuple[RolePass, ...], Finding]:
    """Step 5 for one manifest.

    Args:
        question: The model in its environment.
        found: From ``candidates``.
        taken: Signers that already fill another role: the producer and the evaluators.
        tainted: Whether an approval, as signed by a signer, is withdrawn; see step 4.
    """
    lacking: dict[Reason, list[str]] = {}
    ranked: list[tuple[Requirement, list[Option]]] = []
    for requirement, options in found.items():
        if isinstance(options, Reason):
            lacking.setdefault(options, []).append(str(requirement))
        else:
            ranked.append((requirement, _ranked(options, tainted)))
    for reason in _ORDER:
        if reason in lacking:
            return (), _lacks(question, reason, tuple(lacking[reason]))
    chosen = _assign(ranked, _Taken.of(taken))
    if chosen is None:
        names = tuple(str(requirement) for requirement, _ in ranked)
        finding = Finding(
            5,
            question.model,
            Reason.APPROVAL_MISSING,
            "one authority, and one key, fills one role: too few for " + ", ".join(names),
            names,
        )
        return (), finding
    passes = tuple(_pass(question, requirement, option) for requirement, option in chosen)
    authorities = ", ".join(sorted({entry.signer.authority for entry in passes}))
    return passes, Finding(5, question.model, None, f"approved by {authorities}")


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


def _lacks(question: Question, reason: Reason, names: tuple[str, ...]) -> Finding:
    return Finding(5, question.model, reason, f"{_WHY[reason]} " + ", ".join(names), names)


def _options(
    question: Question, item: Evidence[Manifest], requirement: Requirement
) -> tuple[Option, ...] | Reason:
    inquiry = question.inquiry
    needed = _jurisdictions(question, requirement)
    standing_ones: list[Option] = []
    for approval in inquiry.state.approvals.get(item.digest, ()):
        if approval.statement.subject.name != item.predicate.model.id:
            continue
        if approval.predicate.role != requirement.role:
            continue
        signers = standing(
            inquiry.state, approval, requirement.role, question.scope, needed, inquiry.now
        )
        standing_ones.extend(Option(approval, signer) for signer in signers)
    if not standing_ones:
        return Reason.APPROVAL_MISSING
    in_scope = [o for o in standing_ones if _in_scope(question, o.approval.predicate, needed)]
    if not in_scope:
        return Reason.APPROVAL_OUT_OF_SCOPE
    current = tuple(o for o in in_scope if o.approval.predicate.window.holds(inquiry.now))
    return current or Reason.APPROVAL_NOT_IN_WINDOW


def _jurisdictions(question: Question, requirement: Requirement) -> tuple[str, ...]:
    """A regulator answers for its own jurisdiction, everyone else for all of them."""
    if requirement.jurisdiction:
        return (requirement.jurisdiction,)
    return question.environment.predicate.jurisdictions


def _in_scope(question: Question, approval: Approval, needed: tuple[str, ...]) -> bool:
    return (
        set(needed) <= set(approval.jurisdictions)
        and any_matches(approval.environments, question.scope.environment)
        and question.inquiry.call.operation in approval.operations
    )


def _ranked(
    options: tuple[Option, ...], tainted: Callable[[Evidence[Approval], Signer], bool]
) -> list[Option]:
    """One option per signer: untainted before withdrawn, then the one that holds longest."""
    best: dict[Signer, Option] = {}
    order = sorted(
        options,
        key=lambda o: (
            tainted(o.approval, o.signer),
            -o.approval.predicate.window.not_after.timestamp(),
            o.signer,
            o.approval.digest,
        ),
    )
    for option in order:
        best.setdefault(option.signer, option)
    return list(best.values())


@dataclass(frozen=True, slots=True)
class _Taken:
    """Who fills which role already: authority → role and key → role."""

    roles: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, signers: frozenset[Signer]) -> _Taken:
        """Signers whose role is none of the approving ones."""
        return cls(tuple((name, "") for s in signers for name in (s.authority, s.fingerprint)))

    def allows(self, signer: Signer, role: str) -> bool:
        """Whether ``signer`` may fill ``role`` beside what is taken."""
        names = {signer.authority, signer.fingerprint}
        return all(role == other for name, other in self.roles if name in names)

    def plus(self, signer: Signer, role: str) -> _Taken:
        """With ``signer`` filling ``role``."""
        return _Taken((*self.roles, (signer.authority, role), (signer.fingerprint, role)))


def _assign(
    ranked: list[tuple[Requirement, list[Option]]], taken: _Taken
) -> list[tuple[Requirement, Option]] | None:
    """Choose an option for each requirement so that nobody fills two roles.

    One regulator may answer for several jurisdictions: that is one role. Depth-first over a
    handful of roles; the operator, not the sender, decides how many options there can be.
    """
    if not ranked:
        return []
    (requirement, options), rest = ranked[0], ranked[1:]
    for option in options:
        if taken.allows(option.signer, requirement.role):
            tail = _assign(rest, taken.plus(option.signer, requirement.role))
            if tail is not None:
                return [(requirement, option), *tail]
    return None


def _pass(question: Question, requirement: Requirement, option: Option) -> RolePass:
    grant = grant_for(
        question.inquiry.state,
        option.signer.authority,
        requirement.role,
        question.scope,
        _jurisdictions(question, requirement),
    )
    return RolePass(
        role=requirement.role,
        jurisdiction=requirement.jurisdiction or None,
        approval=option.approval,
        signer=option.signer,
        of_record=grant is not None and grant.of_record,
    )
