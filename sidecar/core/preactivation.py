"""Step 4: sandbox pre-activation. What the envelope declares was run, passed, countersigned.

A structural invariant: it is decided here, before any policy is asked, and no policy can waive it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sidecar.core.assessment import Finding, Question, SuitePass
from sidecar.core.evidence import Evidence, Manifest, Result, Signer, Suite, SuiteResult
from sidecar.core.grants import EVALUATOR
from sidecar.core.reasons import Reason
from sidecar.core.standing import standing


@dataclass(frozen=True, slots=True)
class Candidate:
    """A result for one suite by evaluators that count."""

    entry: SuiteResult
    result: Evidence[Result]
    signers: tuple[Signer, ...]


def candidates(
    question: Question, item: Evidence[Manifest], producers: tuple[Signer, ...]
) -> dict[Suite, tuple[Candidate, ...]]:
    """Return, for each declared suite, the results about exactly this manifest and suite digest.

    An evaluator counts only if it is granted the role, signs with a key valid now, and is not the
    producer, neither by name nor by key.
    """
    inquiry = question.inquiry
    names = {signer.authority for signer in producers}
    keys = {signer.fingerprint for signer in producers}
    found: dict[Suite, tuple[Candidate, ...]] = {}
    for suite in item.predicate.envelope.suites:
        asked = () if suite.jurisdiction is None else (suite.jurisdiction,)
        rows: list[Candidate] = []
        for result in inquiry.state.results.get(item.digest, ()):
            if result.statement.subject.name != item.predicate.model.id:
                continue
            signers = tuple(
                signer
                for signer in standing(
                    inquiry.state, result, EVALUATOR, question.scope, asked, inquiry.now
                )
                if signer.authority not in names and signer.fingerprint not in keys
            )
            if signers:
                rows.extend(
                    Candidate(entry, result, signers)
                    for entry in result.predicate.configuration
                    if _same_suite(suite, entry)
                )
        found[suite] = tuple(rows)
    return found


def passed(
    question: Question,
    item: Evidence[Manifest],
    by_suite: dict[Suite, tuple[Candidate, ...]],
    tainted: Callable[[Evidence[Result], Signer], bool],
) -> tuple[tuple[SuitePass, ...], Finding]:
    """Step 4 for one manifest.

    Args:
        question: The model in its environment.
        item: Its manifest.
        by_suite: From ``candidates``.
        tainted: Whether a result, as signed by a signer, is withdrawn; one that is not is
            preferred, and one that is is left for step 6 to name.
    """
    model = question.model
    absent = _jurisdictions_without_suite(question, item)
    if absent:
        names = tuple(f"compliance suite for {name}" for name in absent)
        return (), Finding(
            4, model, Reason.PREACTIVATION_MISSING, "the envelope lacks " + ", ".join(names), names
        )
    passes: list[SuitePass] = []
    failures: dict[Reason, list[str]] = {}
    for suite, rows in by_suite.items():
        outcome = _suite(question, suite, rows, tainted)
        if isinstance(outcome, SuitePass):
            passes.append(outcome)
        else:
            failures.setdefault(outcome, []).append(_label(suite))
    for reason in _ORDER:
        if reason in failures:
            names = tuple(failures[reason])
            detail = f"{_WHY[reason]}: " + ", ".join(names)
            return tuple(passes), Finding(4, model, reason, detail, names)
    evaluators = sorted({entry.signer.authority for entry in passes})
    return tuple(passes), Finding(4, model, None, "countersigned by " + ", ".join(evaluators))


_ORDER = (
    Reason.PREACTIVATION_MISSING,
    Reason.PREACTIVATION_FAILED,
    Reason.PREACTIVATION_EXPIRED,
)
_WHY = {
    Reason.PREACTIVATION_MISSING: "no evaluator countersigned",
    Reason.PREACTIVATION_FAILED: "not passed",
    Reason.PREACTIVATION_EXPIRED: "the result is outside its window",
}


def _suite(
    question: Question,
    suite: Suite,
    rows: tuple[Candidate, ...],
    tainted: Callable[[Evidence[Result], Signer], bool],
) -> SuitePass | Reason:
    """One suite: an adverse result that stands outweighs any number of passes.

    Otherwise a failed suite could be run again and again until it passes once.
    """
    if not rows:
        return Reason.PREACTIVATION_MISSING
    now = question.inquiry.now
    current = [row for row in rows if row.result.predicate.window.holds(now)]
    if not current:
        return Reason.PREACTIVATION_EXPIRED
    options = [
        (tainted(row.result, signer), row, signer) for row in current for signer in row.signers
    ]
    if any(not bad and not _is_pass(suite, row) for bad, row, _ in options):
        return Reason.PREACTIVATION_FAILED
    passing = [(bad, row, signer) for bad, row, signer in options if _is_pass(suite, row)]
    if not passing:
        return Reason.PREACTIVATION_FAILED
    # Untainted first, then the one that holds longest: fewer leases end early.
    _, row, signer = min(
        passing, key=lambda o: (o[0], -o[1].result.predicate.window.not_after.timestamp(), o[2])
    )
    return SuitePass(suite, row.entry.annotations.score, row.result, signer)


def _is_pass(suite: Suite, row: Candidate) -> bool:
    annotations = row.entry.annotations
    return (
        row.result.predicate.result == "PASSED"
        and annotations.threshold >= suite.threshold
        and annotations.score >= suite.threshold
    )


def _same_suite(suite: Suite, entry: SuiteResult) -> bool:
    return (entry.name, entry.digest, entry.annotations.kind, entry.annotations.jurisdiction) == (
        suite.name,
        suite.digest,
        suite.kind,
        suite.jurisdiction,
    )


def _jurisdictions_without_suite(question: Question, item: Evidence[Manifest]) -> Iterable[str]:
    answered = {
        suite.jurisdiction for suite in item.predicate.envelope.suites if suite.kind == "compliance"
    }
    return sorted(set(question.environment.predicate.jurisdictions) - answered)


def _label(suite: Suite) -> str:
    where = f" for {suite.jurisdiction}" if suite.jurisdiction else ""
    return f"{suite.kind} suite {suite.name}{where}"
