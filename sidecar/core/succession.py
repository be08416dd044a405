"""Determines which manifest takes over from which (law 7); ``lineages`` keeps track of it.

A manifest that supersedes another takes over in an environment from when all its required results
and approvals exist *as signed*: key status, windows and withdrawals aside, by authorities granted
for the scope. Until then the older one stays; afterwards it never returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sidecar.core.eligibility import grant_for, signed_by
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.floors import EffectiveEnvironment
from sidecar.core.grants import (
    ALWAYS_REQUIRED,
    EVALUATOR,
    PRODUCER,
    REGULATOR,
    OperatorTrust,
    Scope,
)
from sidecar.core.memory import Successor
from sidecar.core.patterns import any_matches
from sidecar.core.predicates import Approval, Manifest, Result, Suite, SuiteResult
from sidecar.core.snapshot import TrustState

MAX_LINKS = 16
"""Longest chain of manifests that is followed, by parent or by supersession."""


class KnownEvidence(Protocol):
    """What completeness is judged by: the operator's grants and the tables of evidence."""

    @property
    def operator(self) -> OperatorTrust:
        """The operator's grants."""
        ...

    @property
    def approvals(self) -> Mapping[str, tuple[Evidence[Approval], ...]]:
        """Manifest digest → approvals."""
        ...

    @property
    def results(self) -> Mapping[str, tuple[Evidence[Result], ...]]:
        """Manifest digest → results."""
        ...


def suite_passed(suite: Suite, entry: SuiteResult, outcome: str) -> bool:
    """Return whether one entry of a result passes exactly ``suite`` (step 4)."""
    annotations = entry.annotations
    return (
        outcome == "PASSED"
        and same_suite(suite, entry)
        and annotations.threshold >= suite.threshold
        and annotations.score >= suite.threshold
    )


def same_suite(suite: Suite, entry: SuiteResult) -> bool:
    """Return whether a result's entry is about exactly ``suite``."""
    return (entry.name, entry.digest, entry.annotations.kind, entry.annotations.jurisdiction) == (
        suite.name,
        suite.digest,
        suite.kind,
        suite.jurisdiction,
    )


def required_roles(
    state: KnownEvidence, effective: EffectiveEnvironment, item: Evidence[Manifest]
) -> set[str]:
    """Return the roles that must approve a manifest: a union that only grows (law 5)."""
    operator = state.operator
    roles = {*ALWAYS_REQUIRED, *item.predicate.approvals.required, *operator.required_roles}
    roles |= effective.roles
    for name in effective.jurisdictions:
        roles.update(operator.jurisdiction_roles.get(name, ()))
    return roles


def required_approvals(
    state: KnownEvidence, effective: EffectiveEnvironment, item: Evidence[Manifest]
) -> tuple[tuple[str, str], ...]:
    """Return every (role, jurisdiction) that must be approved, sorted; never empty."""
    roles = required_roles(state, effective, item)
    return tuple(
        sorted((role, name) for role in roles | {REGULATOR} for name in effective.jurisdictions)
    )


def complete(
    state: KnownEvidence, effective: EffectiveEnvironment, item: Evidence[Manifest]
) -> bool:
    """Return whether all required results and approvals of a manifest exist, as signed."""
    model = item.predicate.model
    scope = Scope(effective.environment, effective.sector, f"{model.provider}/{model.id}")
    answered = {suite.jurisdiction for suite in item.predicate.envelope.suites}
    return (
        bool(signed_by(state.operator, item, PRODUCER, scope, effective.jurisdictions))
        and set(effective.jurisdictions) <= answered
        and all(_has_result(state, scope, item, suite) for suite in item.predicate.envelope.suites)
        and all(
            _has_approval(state, scope, item, role, jurisdiction)
            for role, jurisdiction in required_approvals(state, effective, item)
        )
    )


def _has_result(state: KnownEvidence, scope: Scope, item: Evidence[Manifest], suite: Suite) -> bool:
    asked = () if suite.jurisdiction is None else (suite.jurisdiction,)
    return any(
        _all_passed(suite, found.predicate)
        and bool(signed_by(state.operator, found, EVALUATOR, scope, asked))
        for found in state.results.get(item.digest, ())
        if found.statement.subject.name == item.predicate.model.id
    )


def _all_passed(suite: Suite, result: Result) -> bool:
    """Return whether a result has entries about a suite, and each of them passes it."""
    entries = [entry for entry in result.configuration if same_suite(suite, entry)]
    return bool(entries) and all(suite_passed(suite, e, result.result) for e in entries)


def _has_approval(
    state: KnownEvidence, scope: Scope, item: Evidence[Manifest], role: str, jurisdiction: str
) -> bool:
    return any(
        found.predicate.role == role
        and jurisdiction in found.predicate.jurisdictions
        and any_matches(found.predicate.environments, scope.environment)
        and bool(signed_by(state.operator, found, role, scope, (jurisdiction,)))
        for found in state.approvals.get(item.digest, ())
        if found.statement.subject.name == item.predicate.model.id
    )


def granted_successors(
    state: TrustState, digest: str, scope: Scope
) -> tuple[tuple[Successor, tuple[Signer, ...]], ...]:
    """Return what supersedes a manifest, transitively, by producers granted for the scope."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], tuple[Successor, tuple[Signer, ...]]] = {}
    pending, seen = [digest], {digest}
    while pending:
        for entry in state.successors.get(pending.pop(), ()):
            signers = tuple(
                Signer(*signer)
                for signer in entry.signers
                if grant_for(state.operator, signer[0], PRODUCER, scope) is not None
            )
            if signers:
                found[entry.by, entry.signers] = (entry, signers)
                if entry.by not in seen:
                    seen.add(entry.by)
                    pending.append(entry.by)
    return tuple(found[at] for at in sorted(found))
