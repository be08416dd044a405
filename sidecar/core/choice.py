"""Steps 4 and 5 for one model: choose evaluators and approvers together.

First among what is usable; where that leaves no choice, also among what is stale; then among
everything that is signed and in window. So step 6 names a withdrawal only where it is what refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sidecar.core import approvals, deployments, preactivation, sandbox, specifications
from sidecar.core.approvals import ApprovalOffers, Requirement
from sidecar.core.assessment import Chain, Finding, Question, RolePass, SuitePass
from sidecar.core.assignment import Offer, Slot, assign
from sidecar.core.cascade import Cascade, Defect
from sidecar.core.deployments import Bound
from sidecar.core.evidence import Evidence, Manifest, Signer, Suite
from sidecar.core.grants import PRODUCER
from sidecar.core.preactivation import SuiteOffers
from sidecar.core.reasons import Reason
from sidecar.core.resolve import Resolved
from sidecar.core.specifications import Pledge


@dataclass(frozen=True, slots=True)
class Prepared:
    """One model after step 3, with every signature that may count, before anyone is chosen."""

    question: Question
    resolved: Resolved
    producers: tuple[Signer, ...]
    results: dict[Suite, SuiteOffers | Reason]
    approvals: dict[Requirement, ApprovalOffers | Reason]
    binding: Bound | None
    pledges: tuple[Pledge, ...] = ()


def choose(
    ready: Prepared, cascade: Cascade, models: frozenset[str], findings: list[Finding]
) -> Chain:
    """Return what one model's admission relies on, and add steps 4 and 5 to ``findings``.

    Args:
        ready: From steps 2 and 3.
        cascade: The withdrawals that count.
        models: ``provider/id`` of the models and base models of the call.
        findings: Grows by two for an adapted model.
    """
    question, resolved = ready.question, ready.resolved
    deployed = None if ready.binding is None else deployments.relied_on(ready.binding, cascade)
    item = resolved.manifest
    if item is None:
        return Chain(question.model, resolved.base, None, None, (), (), (), deployed)
    specified = tuple(specifications.relied_on(pledge, cascade) for pledge in ready.pledges)
    if question.inquiry.call.sandbox:
        chain = sandbox.chain(question, resolved, item, ready.producers, cascade, models, findings)
        return replace(chain, deployed=deployed, specifications=specified)
    above = (parent for parent, _ in resolved.parents)
    failed = preactivation.checked(question, item, above, ready.results, models)
    lacking = approvals.checked(question, ready.approvals)
    producer, suites, roles = _chosen(ready, item, cascade, failed, lacking, findings)
    parents = tuple(
        (parent, cascade.preferred(parent, signers)) for parent, signers in resolved.parents
    )
    return Chain(
        question.model,
        resolved.base,
        item,
        producer,
        parents,
        suites,
        roles,
        deployed,
        specified,
    )


def _chosen(
    ready: Prepared,
    item: Evidence[Manifest],
    cascade: Cascade,
    failed: Finding | None,
    lacking: Finding | None,
    findings: list[Finding],
) -> tuple[Signer | None, tuple[SuitePass, ...], tuple[RolePass, ...]]:
    return next(
        (
            first[0].signer if first else None,
            _suites(ready, second if with_results else None, failed, findings),
            _roles(ready, third if with_approvals else None, lacking, findings),
        )
        for with_results, with_approvals in _attempts(failed, lacking)
        for worst in Defect
        for first, second, third in _assigned(
            _producer(ready, item, cascade, worst=worst),
            preactivation.slots(ready.results, cascade, worst=worst) if with_results else [],
            approvals.slots(ready.approvals, cascade, worst=worst) if with_approvals else [],
        )
    )


def _assigned(*parts: list[Slot[Any]]) -> Iterator[list[list[Offer[Any]]]]:
    """Yield what is chosen for each part, or nothing where there is no choice."""
    chosen = assign([slot for part in parts for slot in part])
    if chosen is not None:
        yield _split(chosen, [len(part) for part in parts])


def _attempts(failed: Finding | None, lacking: Finding | None) -> Sequence[tuple[bool, bool]]:
    """Return the sets of steps (4, 5) to choose for, the largest first; the last is empty."""
    results, given = failed is None, lacking is None
    return tuple(
        dict.fromkeys([(results, given), (results, False), (False, given), (False, False)])
    )


def _producer(
    ready: Prepared, item: Evidence[Manifest], cascade: Cascade, *, worst: Defect
) -> list[Slot[Any]]:
    """Return a slot for the producer; none where step 3 found no signature that counts."""
    ranked = sorted((cascade.defect(item, signer), signer) for signer in ready.producers)
    offered = tuple(Offer(signer, item) for defect, signer in ranked if defect <= worst)
    return [Slot(PRODUCER, offered)] if ready.producers else []


def _suites(
    ready: Prepared,
    chosen: list[Offer[Any]] | None,
    failed: Finding | None,
    findings: list[Finding],
) -> tuple[SuitePass, ...]:
    if chosen is None:
        findings.append(failed or preactivation.unassignable(ready.question, ready.results))
        return ()
    passes, finding = preactivation.passed(ready.question, ready.results, chosen)
    findings.append(finding)
    return passes


def _roles(
    ready: Prepared,
    chosen: list[Offer[Any]] | None,
    lacking: Finding | None,
    findings: list[Finding],
) -> tuple[RolePass, ...]:
    if chosen is None:
        findings.append(lacking or approvals.unassignable(ready.question, ready.approvals))
        return ()
    passes, finding = approvals.approved(ready.question, ready.approvals, chosen)
    findings.append(finding)
    return passes


def _split(offers: tuple[Offer[Any], ...], sizes: list[int]) -> list[list[Offer[Any]]]:
    """Cut what was chosen into the parts that the slots came from."""
    found, start = [], 0
    for size in sizes:
        found.append(list(offers[start : start + size]))
        start += size
    return found
