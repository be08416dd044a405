"""Step 4: sandbox pre-activation. What the envelope declares was run, passed, countersigned.

A structural invariant: it is decided here, before any policy is asked, and no policy can waive it.
A result only adds agreement; what counts against a manifest is an evaluator's published failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sidecar.core.assessment import Finding, Question, SuitePass
from sidecar.core.assignment import Offer, given
from sidecar.core.cascade import Cascade, Ranked
from sidecar.core.documents import Failure
from sidecar.core.eligibility import eligible_signers
from sidecar.core.evidence import Evidence
from sidecar.core.grants import EVALUATOR
from sidecar.core.objectors import overlaps
from sidecar.core.predicates import Manifest, Result, Suite, SuiteResult
from sidecar.core.reasons import Reason, one_line
from sidecar.core.shown_evidence import MOST_SHOWN, beyond
from sidecar.core.snapshot import TrustState
from sidecar.core.succession import same_suite, suite_passed
from sidecar.core.withdrawals import failure_keys


@dataclass(frozen=True, slots=True)
class SuiteEvidence:
    """A result with its entry about one suite; of several entries, the one that scores lowest."""

    entry: SuiteResult
    result: Evidence[Result]


SuiteOffers = tuple[Offer[SuiteEvidence], ...]


def offers(question: Question, item: Evidence[Manifest]) -> dict[Suite, SuiteOffers | Reason]:
    """Return for each declared suite the passing results, or why there is none.

    An evaluator counts only if it is granted the role and signs with an active key in its window.
    """
    return {suite: _offers(question, item, suite) for suite in item.predicate.envelope.suites}


def checked(
    question: Question,
    item: Evidence[Manifest],
    parents: Iterable[Evidence[Manifest]],
    found: dict[Suite, SuiteOffers | Reason],
    models: frozenset[str],
) -> Finding | None:
    """Return why step 4 cannot hold for any choice of evaluators; ``None`` if it can.

    Args:
        question: The model in its environment.
        item: Its manifest.
        parents: What it was tuned from. Each may lack results, but none may have failed (law 6).
        found: From ``offers``.
        models: ``provider/id`` of the models and base models of the question.
    """
    model = question.model
    answered = {suite.jurisdiction for suite in item.predicate.envelope.suites}
    absent = sorted(set(question.effective.jurisdictions) - answered)
    if absent:
        names = tuple(f"compliance suite for {name}" for name in absent)
        return Finding(
            4, model, Reason.PREACTIVATION_MISSING, "the envelope lacks " + ", ".join(names), names
        )
    for each in (item, *parents):
        for _, failed in published_failures(question, each, models):
            return failed
    lacking: dict[Reason, list[str]] = {}
    for suite, offered in found.items():
        if isinstance(offered, Reason):
            lacking.setdefault(offered, []).append(_label(suite))
    for reason in _ORDER:
        if reason in lacking:
            names = tuple(lacking[reason])
            return Finding(4, model, reason, f"{_WHY[reason]}: " + ", ".join(names), names)
    return None


def ranked(
    found: dict[Suite, SuiteOffers | Reason], cascade: Cascade
) -> list[Ranked[SuiteEvidence]]:
    """Return for each suite that has results these, best first, each with its defect."""
    rows = []
    for offered in given(found).values():
        order = sorted(
            (cascade.defect(o.item.result, o.signer), _shortest_last(o), o.signer, number)
            for number, o in enumerate(offered)
        )
        rows.append(Ranked(EVALUATOR, [(defect, offered[n]) for defect, _, _, n in order]))
    return rows


def passed(
    question: Question,
    found: dict[Suite, SuiteOffers | Reason],
    chosen: Sequence[Offer[SuiteEvidence]],
    counting: Sequence[SuiteOffers],
) -> tuple[tuple[SuitePass, ...], tuple[tuple[SuitePass, ...], ...], Finding]:
    """Return step 4 with the evaluators that were chosen, one for each suite.

    Args:
        question: The model in its environment.
        found: From ``offers``; each suite has results.
        chosen: For each suite, the result to rely on.
        counting: For each suite, every result that counts beside it.

    Returns:
        What was chosen, what counts for each suite, and the finding.
    """
    passes = tuple(_pass(suite, offer) for suite, offer in zip(found, chosen, strict=True))
    every = tuple(
        (entry,) if len(offered) == 1 else tuple(_pass(entry.suite, offer) for offer in offered)
        for entry, offered in zip(passes, counting, strict=True)
    )
    evaluators = sorted({entry.signer.authority for entry in passes})
    detail = "countersigned by " + ", ".join(evaluators)
    most = max((_different(results) for results in every), default=0)
    detail += beyond(most, "results of a suite")
    return passes, every, Finding(4, question.model, None, detail)


def _different(results: tuple[SuitePass, ...]) -> int:
    """Return how many results of a suite differ in what policies are shown of them."""
    if len(results) <= MOST_SHOWN:
        return len(results)
    return len(
        {
            (each.result.predicate.window.not_before, each.score, each.signer.authority)
            for each in results
        }
    )


def _pass(suite: Suite, offer: Offer[SuiteEvidence]) -> SuitePass:
    evidence = offer.item
    return SuitePass(suite, evidence.entry.annotations.score, evidence.result, offer.signer)


def unassignable(question: Question, found: dict[Suite, SuiteOffers | Reason]) -> Finding:
    """Return step 4 where every suite has results, but only by authorities in another role."""
    names = tuple(_label(suite) for suite in found)
    detail = "one authority, and one key, fills one role: too few for " + ", ".join(names)
    return Finding(4, question.model, Reason.PREACTIVATION_MISSING, detail, names)


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


def _offers(question: Question, item: Evidence[Manifest], suite: Suite) -> SuiteOffers | Reason:
    inquiry = question.inquiry
    asked = () if suite.jurisdiction is None else (suite.jurisdiction,)
    reason = Reason.PREACTIVATION_MISSING
    current: list[Offer[SuiteEvidence]] = []
    for result in inquiry.state.results.get(item.digest, ()):
        entries = [entry for entry in result.predicate.configuration if same_suite(suite, entry)]
        if result.statement.subject.name != item.predicate.model.id or not entries:
            continue
        signers = eligible_signers(
            inquiry.state, result, EVALUATOR, question.scope, asked, inquiry.now
        )
        if not signers:
            continue
        outcome = result.predicate.result
        if not all(suite_passed(suite, entry, outcome) for entry in entries):
            reason = max(reason, Reason.PREACTIVATION_FAILED, key=_ORDER.index)
        elif not result.predicate.window.holds(inquiry.now):
            reason = max(reason, Reason.PREACTIVATION_EXPIRED, key=_ORDER.index)
        else:
            lowest = min(entries, key=_score) if len(entries) > 1 else entries[0]
            current.extend(Offer(s, SuiteEvidence(lowest, result)) for s in signers)
    return tuple(current) or reason


def published_failures(
    question: Question, item: Evidence[Manifest], models: frozenset[str]
) -> Iterator[tuple[str, Finding]]:
    """Yield each failure that its author has not taken back, nor the operator its grant.

    Yields:
        The author, and step 4 as it fails by that.
    """
    operator, everywhere = question.inquiry.state.operator, question.inquiry.call.sandbox
    suites = {suite.digest.sha256: suite for suite in item.predicate.envelope.suites}
    for authority, failure in failures_of(question.inquiry.state, item):
        suite = suites.get(failure.suite)
        if suite is not None and any(
            grant.role == EVALUATOR
            and overlaps(grant, question.effective, models, everywhere=everywhere)
            for grant in operator.of(authority)
        ):
            label = _label(suite)
            tested = item.predicate.model.id
            which = label if tested == question.target else f"{label} of its parent {tested}"
            if failure.manifest != item.digest:
                which += f", as manifest {failure.manifest[:12]} of the same model,"
            detail = one_line(f"{authority} published that {which} failed: {failure.reason}")
            yield (
                authority,
                Finding(4, question.model, Reason.PREACTIVATION_FAILED, detail, (label,)),
            )


def failures_of(state: TrustState, item: Evidence[Manifest]) -> tuple[tuple[str, Failure], ...]:
    """Return every failure of a manifest's model with its author, also under another manifest."""
    found = (state.failures.get(key, ()) for key in failure_keys(item))
    return tuple(dict.fromkeys(entry for entries in found for entry in entries))


def _score(entry: SuiteResult) -> float:
    return entry.annotations.score


def _shortest_last(offer: Offer[SuiteEvidence]) -> float:
    return -offer.item.result.predicate.window.not_after.timestamp()


def _label(suite: Suite) -> str:
    where = f" for {suite.jurisdiction}" if suite.jurisdiction else ""
    return f"{suite.kind} suite {suite.name}{where}"
