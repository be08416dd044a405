"""Steps 2 and 3: collect what each name of a call can be resolved to.

A deployment has a binding of each provider, a model may have several manifests: each is an
alternative, newest first. ``assess`` finds the ones by which the call is admitted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.core import (
    approvals,
    coverage,
    deployments,
    preactivation,
    resolve,
    specifications,
)
from sidecar.core.assessment import Finding, Inquiry, Question
from sidecar.core.choice import Prepared
from sidecar.core.deployments import BindingInForce
from sidecar.core.evidence import Evidence
from sidecar.core.predicates import Environment, Manifest
from sidecar.core.reasons import Reason
from sidecar.core.resolve import Resolved


@dataclass(frozen=True, slots=True)
class Alternative:
    """One resolution of a name in the call, with the outcome of steps 2 and 3."""

    findings: tuple[Finding, ...]
    prepared: Prepared | None = None

    @property
    def names(self) -> frozenset[str]:
        """The model with its parents and base models; none where step 2 refuses."""
        return frozenset() if self.prepared is None else reached(self.prepared)

    def can_hold(self, *, sandbox: bool) -> bool:
        """Return whether nothing refuses it before evaluators and approvers are chosen.

        An authority may sign thousands of manifests of one model that nobody approves. Whether one
        of these steps refuses is known at little cost; to follow its lineage is not worth more.
        """
        ready = self.prepared
        if ready is None or not all(finding.holds for finding in self.findings):
            return False
        offered = () if sandbox else (*ready.results.values(), *ready.approvals.values())
        return not any(isinstance(each, Reason) for each in offered)


def alternatives(
    inquiry: Inquiry, environment: Evidence[Environment], model: str
) -> Iterator[Alternative]:
    """Return every resolution of one name in the call that could hold, newest first."""
    if model not in inquiry.call.deployments:
        yield from _prepare(Question(inquiry, environment, model), None)
        return
    bound = deployments.bindings(inquiry, environment, model)
    if isinstance(bound, Finding):
        yield Alternative((bound,))
        return
    for binding, finding in bound:
        question = Question(inquiry, environment, model, binding.model)
        for each in _prepare(question, binding):
            yield Alternative((finding, *each.findings), each.prepared)


def _prepare(question: Question, binding: BindingInForce | None) -> Iterator[Alternative]:
    """Take steps 2 and 3 for one model, and collect what could count for steps 4 and 5."""
    found = resolve.manifests(question)
    if binding is not None:
        found = deployments.agreeing(question, binding, found)
    for resolved, finding in found:
        if resolved is None:
            yield Alternative((finding,))
        elif resolved.manifest is None:
            yield Alternative((finding,), Prepared(question, resolved, (), {}, {}, binding))
        else:
            yield _covered(question, resolved, resolved.manifest, binding, finding)


def _covered(
    question: Question,
    resolved: Resolved,
    item: Evidence[Manifest],
    binding: BindingInForce | None,
    finding: Finding,
) -> Alternative:
    producers, covered = coverage.covered(question, item)
    above = (parent for parent, _ in resolved.parents)
    signed, specified = specifications.for_manifests(question, (item, *above))
    prepared = Prepared(
        question,
        resolved,
        producers,
        preactivation.offers(question, item),
        approvals.offers(question, item),
        binding,
        signed,
    )
    findings = (finding, covered) if specified is None else (finding, covered, specified)
    return Alternative(findings, prepared)


def reached(ready: Prepared) -> frozenset[str]:
    """Return ``provider/id`` of a model, its parents and its base models."""
    name, provider = ready.question.name, ready.question.inquiry.call.provider
    return ready.resolved.names(provider) | {name}
