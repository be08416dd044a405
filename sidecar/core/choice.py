"""Steps 4 and 5 for one model: choose evaluators and approvers together.

Usable signatures are tried first; if they are not enough, stale ones as well; then everything that
is signed and in window. So step 6 names a withdrawal only where the withdrawal is what refuses.

What is chosen decides until when the model is admitted; policies are asked about everything that
counts beside it. That can be shown at once except where an authority could fill either of two
roles, where several producers signed, or where several providers bind the deployment. Then there
are several choices, for policies to be asked about in turn, the preferred one first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any, NamedTuple

from sidecar.core import approvals, deployments, preactivation, sandbox, specifications
from sidecar.core.approvals import ApprovalOffers, Requirement
from sidecar.core.assessment import Chain, Counting, Finding, Question, RolePass, SuitePass
from sidecar.core.assignment import Assignment, Offer, Slot, assignments
from sidecar.core.cascade import Cascade, Defect, Ranked
from sidecar.core.deployments import BindingInForce
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.grants import PRODUCER
from sidecar.core.preactivation import SuiteOffers
from sidecar.core.predicates import Manifest, Suite
from sidecar.core.reasons import Reason
from sidecar.core.resolve import Resolved
from sidecar.core.specifications import SignedSpecification


@dataclass(frozen=True, slots=True)
class Prepared:
    """One model after step 3, with every signature that may count, before anyone is chosen."""

    question: Question
    resolved: Resolved
    producers: tuple[Signer, ...]
    results: dict[Suite, SuiteOffers | Reason]
    approvals: dict[Requirement, ApprovalOffers | Reason]
    binding: BindingInForce | None
    specifications: tuple[SignedSpecification, ...] = ()


Choice = tuple[Chain, tuple[Finding, ...]]
"""What one model's admission relies on, with its findings in steps 4 and 5."""


_Parts = tuple[list[Ranked[Any]], list[Ranked[Any]], list[Ranked[Any]]]
"""What is offered as the producer, for each suite and for each requirement."""


class _Filled(NamedTuple):
    """What fills the slots of steps 4 and 5; ``None`` for a step that cannot hold."""

    producer: Signer | None
    suites: Assignment[Any] | None
    roles: Assignment[Any] | None


def choices(ready: Prepared, cascade: Cascade, models: frozenset[str]) -> Iterator[Choice]:
    """Yield what one model's admission can rely on; at least one, the preferred choice first.

    All have the same findings. More than one follow only if steps 4 and 5 hold.

    Args:
        ready: From steps 2 and 3.
        cascade: The withdrawals that count.
        models: ``provider/id`` of the models and base models of the call.
    """
    found = _choices(ready, cascade, models)
    if ready.binding is None:
        yield from found
        return
    bound = deployments.relied_on(ready.binding, cascade)
    for made, findings in found:
        yield from ((replace(made, deployed=deployed), findings) for deployed in bound)


def _choices(ready: Prepared, cascade: Cascade, models: frozenset[str]) -> Iterator[Choice]:
    """Yield the choices apart from the binding."""
    question, resolved, item = ready.question, ready.resolved, ready.resolved.manifest
    if item is None:
        yield Chain(question.model, resolved.base, None, None, (), (), ()), ()
        return
    parents = tuple((each, cascade.preferred(each, found)) for each, found in resolved.parents)
    specified = tuple(specifications.relied_on(each, cascade) for each in ready.specifications)
    if question.inquiry.call.sandbox:
        findings = sandbox.findings(question, resolved, item, ready.producers, models)
        signers = cascade.preferred_of_each(item, ready.producers)
        for signer in signers or (None,):
            named = question.model, resolved.base, item, signer, parents
            yield Chain(*named, (), (), None, specified), findings
        return
    above = (parent for parent, _ in resolved.parents)
    failed = preactivation.checked(question, item, above, ready.results, models)
    lacking = approvals.checked(question, ready.approvals)
    for filled in _filled(ready, item, cascade, failed, lacking):
        suites, results, fourth = _suites(ready, filled.suites, failed)
        roles, counting, fifth = _roles(ready, filled.roles, lacking)
        yield (
            Chain(
                question.model,
                resolved.base,
                item,
                filled.producer,
                parents,
                suites,
                roles,
                None,
                specified,
                results,
                counting,
            ),
            (fourth, fifth),
        )


def _suites(
    ready: Prepared, found: Assignment[Any] | None, failed: Finding | None
) -> tuple[tuple[SuitePass, ...], tuple[tuple[SuitePass, ...], ...], Finding]:
    """Return step 4 as it was filled: what was chosen, what counts, the finding."""
    if found is None:
        return (), (), failed or preactivation.unassignable(ready.question, ready.results)
    return preactivation.passed(ready.question, ready.results, found.chosen, found.counting)


def _roles(
    ready: Prepared, found: Assignment[Any] | None, lacking: Finding | None
) -> tuple[tuple[RolePass, ...], tuple[Counting, ...], Finding]:
    """Return step 5 as it was filled: what was chosen, what counts, the finding."""
    if found is None:
        return (), (), lacking or approvals.unassignable(ready.question, ready.approvals)
    return approvals.approved(ready.question, ready.approvals, found.chosen, found.counting)


def _filled(
    ready: Prepared,
    item: Evidence[Manifest],
    cascade: Cascade,
    failed: Finding | None,
    lacking: Finding | None,
) -> Iterator[_Filled]:
    """Yield how the steps can be filled from the best evidence with which the most of them are."""
    ranked: _Parts = (
        _producer(ready, item, cascade),
        preactivation.ranked(ready.results, cascade) if failed is None else [],
        approvals.ranked(ready.approvals, cascade) if lacking is None else [],
    )
    # The first attempt that succeeds, with the best evidence that it does with. The last attempt
    # fills neither step, so it always does.
    return next(
        chain((first,), others)
        for steps in _attempts(failed, lacking)
        for worst in Defect
        for others in (_fillings(ranked, steps, worst),)
        for first in islice(others, 1)
    )


def _fillings(ranked: _Parts, steps: tuple[bool, bool], worst: Defect) -> Iterator[_Filled]:
    """Yield how steps (4, 5) can be filled; only the first one where a policy is not asked."""
    with_results, with_approvals = steps
    parts: list[list[Slot[Any]]] = [
        [each.slot(worst) for each in rows] if wanted else []
        for rows, wanted in zip(ranked, (True, *steps), strict=True)
    ]
    most = None if all(steps) and worst is Defect.NONE else 1
    for found in islice(assignments([slot for part in parts for slot in part]), most):
        producing, suites, roles = _split(found, [len(part) for part in parts])
        for signer in islice(_one_of_each(producing), most):
            yield _Filled(
                signer, suites if with_results else None, roles if with_approvals else None
            )


def _attempts(failed: Finding | None, lacking: Finding | None) -> Sequence[tuple[bool, bool]]:
    """Return the sets of steps (4, 5) to choose for, the largest first; the last is empty."""
    results, given = failed is None, lacking is None
    return tuple(
        dict.fromkeys([(results, given), (results, False), (False, given), (False, False)])
    )


def _producer(ready: Prepared, item: Evidence[Manifest], cascade: Cascade) -> list[Ranked[Any]]:
    """Return the signers that can be the producer; none where step 3 found none that counts."""
    order = sorted((cascade.defect(item, signer), signer) for signer in ready.producers)
    offered = [(defect, Offer(signer, item)) for defect, signer in order]
    return [Ranked(PRODUCER, offered)] if offered else []


def _one_of_each(producing: Assignment[Any]) -> Iterable[Signer | None]:
    """Return the producer's signer of each authority that can be it, preferred ones first."""
    found: dict[str, Signer] = {}
    for offers in producing.counting:
        for offer in offers:
            found.setdefault(offer.signer.authority, offer.signer)
    return found.values() or (None,)


def _split(found: Assignment[Any], sizes: Sequence[int]) -> Iterator[Assignment[Any]]:
    """Cut an assignment into the parts that its slots came from."""
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        yield Assignment(found.chosen[part], found.counting[part])
        start += size
