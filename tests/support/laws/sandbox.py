"""Step 4 on a sandbox route: an evaluator may run what nobody has approved yet.

Nothing is asked of results and approvals; what is asked is who calls, from where, and for what.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.laws.nouns import Declaration, Withdrawal, covers
from tests.support.laws.nouns import Failure as Failed
from tests.support.laws.reading import Reading

No = tuple[str, Withdrawal | Failed]
PURPOSE = "evaluation"


def refusal(
    reading: Reading,
    declared: Declaration,
    model: str,
    asked: frozenset[str],
    producing: set[str],
    failures: Iterable[No],
) -> str | None:
    """Return the code with which step 4 refuses; None where an evaluator calls from its sandbox.

    ``producing`` are the authorities that signed the manifest as producers; ``failures`` what any
    evaluator published of it or of its parents.
    """
    calling = _evaluators(reading, declared.sector, model, asked)
    if declared.purpose != PURPOSE or not any(producing - {each} for each in calling):
        return "sandbox_not_granted"
    failing = {authority for authority, _ in failures}
    # Of several that call from here, one that failed the model must be able to look again.
    return "preactivation_failed" if failing and not failing & calling else None


def _evaluators(reading: Reading, sector: str, model: str, asked: frozenset[str]) -> set[str]:
    """Evaluators whose sandbox the environment is for this model."""
    return {
        authority
        for authority, grants in reading.world.operator.grants.items()
        for grant in grants
        if grant.role == "evaluator"
        and covers(grant.sandbox, reading.question.environment)
        and covers(grant.models, f"openai/{model}")
        and covers(grant.sectors, sector)
        and all(covers(grant.jurisdictions, name) for name in asked)
    }
