"""Steps 4 and 5 on a sandbox route: an evaluator calls a model that need not be active yet.

Results and approvals are not asked for, because the sandbox is where results come from. Everything
else is: the credential, the manifest and its producer, withdrawals and freshness. What makes an
environment a sandbox is the operator's grant to an evaluator (``Grant.sandbox``), which no evidence
can widen, together with the purpose ``evaluation`` in its signed declaration.

Withdrawals count from a wider scope than elsewhere: in the sandbox every authority with any grant
for the model, in whatever environment, is an objector. A published failure denies too, except where
the evaluator is one of those that published one: it alone can take it back (law 1), and must be
able to look again.
"""

from __future__ import annotations

from collections.abc import Iterable

from sidecar.core import preactivation
from sidecar.core.assessment import Finding, Question
from sidecar.core.call import Call
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.grants import EVALUATOR
from sidecar.core.patterns import any_matches
from sidecar.core.predicates import Manifest
from sidecar.core.reasons import Reason
from sidecar.core.resolve import Resolved

PURPOSE = "evaluation"
"""The purpose that a sandbox environment declares."""

MANIFEST_HEADER = "x-admissibility-manifest"
"""Response header on a sandbox route: digest of the manifest that the call was admitted under.

An evaluator calls names (of models, of deployments), and countersigns digests. What a name means is
decided by the gate, and may change while a suite is run.
"""

NOT_ASKED = "not asked for in the sandbox"


def only_runs(call: Call) -> bool:
    """Return whether a call does nothing but run the models that it names."""
    return not (call.modelless or call.tuned or call.references or call.owned)


def evaluators(question: Question) -> tuple[str, ...]:
    """Return the evaluators whose sandbox the environment is for the model, sorted."""
    effective = question.effective
    return tuple(
        sorted(
            authority
            for authority, grants in question.inquiry.state.operator.grants.items()
            if any(
                grant.role == EVALUATOR
                and any_matches(grant.sandbox, effective.environment)
                and any_matches(grant.models, question.name)
                and any_matches(grant.sectors, effective.sector)
                and all(any_matches(grant.jurisdictions, name) for name in effective.jurisdictions)
                for grant in grants
            )
        )
    )


def findings(
    question: Question,
    resolved: Resolved,
    item: Evidence[Manifest],
    producers: tuple[Signer, ...],
    models: frozenset[str],
) -> tuple[Finding, Finding]:
    """Return steps 4 and 5 for one model in the sandbox.

    Args:
        question: The model in the evaluator's environment.
        resolved: From step 2.
        item: The manifest.
        producers: Its signers that count, from step 3.
        models: ``provider/id`` of the models and base models of the call.
    """
    above = tuple(parent for parent, _ in resolved.parents)
    return (
        _permitted(question, (item, *above), producers, models),
        Finding(5, question.model, None, f"approvals are {NOT_ASKED}"),
    )


def _permitted(
    question: Question,
    items: Iterable[Evidence[Manifest]],
    producers: tuple[Signer, ...],
    models: frozenset[str],
) -> Finding:
    """Step 4: the environment is the sandbox of an evaluator that is not the producer."""

    def refused(detail: str) -> Finding:
        return Finding(4, question.model, Reason.SANDBOX_NOT_GRANTED, detail)

    name = question.effective.environment
    purpose = question.environment.predicate.purpose
    if purpose != PURPOSE:
        return refused(f"{name} is declared for the purpose {purpose}, not {PURPOSE}")
    granted = evaluators(question)
    if not granted:
        return refused(f"{name} is not an evaluator's sandbox for this model")
    signing = {signer.authority for signer in producers}
    if producers and not any(signing - {authority} for authority in granted):
        return refused(f"{', '.join(granted)} produced the model: another authority evaluates it")
    failures = [
        each for item in items for each in preactivation.published_failures(question, item, models)
    ]
    if failures and not {authority for authority, _ in failures} & set(granted):
        return failures[0][1]
    return Finding(
        4, question.model, None, f"in the sandbox of {', '.join(granted)}; results are {NOT_ASKED}"
    )
