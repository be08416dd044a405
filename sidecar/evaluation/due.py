"""Lists what of the declared envelopes must be evaluated, and by when.

It answers for every manifest and each of its suites what the sandbox is needed for: a result that
is missing, has ended or ends soon, was withdrawn or failed; and a suite that was changed since the
manifest declared it, which no result of this manifest can cover.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sidecar.core.cascade import Cascade
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.grants import EVALUATOR
from sidecar.core.objectors import Objectors
from sidecar.core.patterns import any_matches
from sidecar.core.preactivation import failures_of
from sidecar.core.predicates import Manifest, Result, Suite
from sidecar.core.snapshot import TrustState
from sidecar.core.succession import same_suite, suite_passed


class SuiteState(StrEnum):
    """The state of one suite of a manifest."""

    CURRENT = "current"
    ENDING = "ending"
    ENDED = "ended"
    MISSING = "missing"
    NOT_COUNTED = "not_counted"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class SuiteStatus:
    """One suite of one manifest.

    Attributes:
        model: ``provider/id``.
        manifest: Digest.
        suite: As declared.
        state: What it lacks, or that it lacks nothing.
        until: When its result ends or ended; ``None`` without one.
        evaluator: Whose result, or whose failure, that is.
        detail: One sentence for people; empty where there is nothing to add.
    """

    model: str
    manifest: str
    suite: Suite
    state: SuiteState
    until: datetime | None = None
    evaluator: str = ""
    detail: str = ""

    @property
    def due(self) -> bool:
        """Whether an evaluator has to act."""
        return self.state is not SuiteState.CURRENT


def suite_statuses(
    state: TrustState, now: datetime, soon: datetime, editions: Mapping[tuple[str, str], str]
) -> tuple[SuiteStatus, ...]:
    """Return the state of every suite of every manifest, by model, manifest and suite.

    A manifest whose window is over, or that a successor took over from wherever it may run, is left
    out: no result can activate it again.

    Args:
        state: The trust state.
        now: The reference time.
        soon: A result that ends before it is ``ending``.
        editions: (kind, name) of a suite → the digest of its folder as it is today.
    """
    found = [
        _status(state, item, suite, now, soon, editions)
        for item in state.manifests_by_digest.values()
        if not _succeeded(state, item) and item.predicate.window.not_after > now
        for suite in item.predicate.envelope.suites
    ]
    return tuple(sorted(found, key=lambda each: (each.model, each.manifest, each.suite.name)))


def _status(
    state: TrustState,
    item: Evidence[Manifest],
    suite: Suite,
    now: datetime,
    soon: datetime,
    editions: Mapping[tuple[str, str], str],
) -> SuiteStatus:
    model = f"{item.predicate.model.provider}/{item.predicate.model.id}"

    def status(
        state: SuiteState, evaluator: str = "", until: datetime | None = None, detail: str = ""
    ) -> SuiteStatus:
        return SuiteStatus(model, item.digest, suite, state, until, evaluator, detail)

    for authority, failure in failures_of(state, item):
        if failure.suite == suite.digest.sha256 and _evaluates(state, authority, model, suite):
            return status(SuiteState.FAILED, authority, detail=failure.reason)
    edition = editions.get((suite.kind, suite.name))
    if edition is not None and edition != suite.digest.sha256:
        return status(SuiteState.CHANGED, detail=f"the folder has the digest {edition}")
    counting = list(_counting(state, item, suite, model, now))
    if not counting:
        missing, detail = _why_none(state, item, suite)
        return status(missing, detail=detail)
    usable = [each for each in counting if not _withdrawn(state, *each[1:], now)]
    if not usable:
        _, _, signer = counting[0]
        return status(SuiteState.WITHDRAWN, signer.authority)
    until, _, signer = max(usable, key=lambda each: each[0])
    if until <= now:
        return status(SuiteState.ENDED, signer.authority, until)
    last = SuiteState.ENDING if until < soon else SuiteState.CURRENT
    return status(last, signer.authority, until)


def _counting(
    state: TrustState, item: Evidence[Manifest], suite: Suite, model: str, now: datetime
) -> Iterator[tuple[datetime, Evidence[Result], Signer]]:
    """Yield each passing result with the end of what it rests on, by an active evaluator's key."""
    for result in state.results.get(item.digest, ()):
        outcome, window = result.predicate.result, result.predicate.window
        if not any(suite_passed(suite, e, outcome) for e in result.predicate.configuration):
            continue
        for signer in result.signers:
            key = state.keys[signer]
            if key.agrees(now) and _evaluates(state, signer.authority, model, suite):
                yield min(window.not_after, key.window.not_after), result, signer


def _evaluates(state: TrustState, authority: str, model: str, suite: Suite) -> bool:
    """Return whether an authority may evaluate the model in some environment."""
    return any(
        grant.role == EVALUATOR
        and any_matches(grant.models, model)
        and (suite.jurisdiction is None or any_matches(grant.jurisdictions, suite.jurisdiction))
        for grant in state.operator.of(authority)
    )


def _withdrawn(state: TrustState, result: Evidence[Result], signer: Signer, now: datetime) -> bool:
    """Return whether some authority withdrew a result; which count, depends on the environment."""
    everybody = Objectors(tuple(sorted(state.withdrawals)), ())
    return Cascade.of(state, everybody, (), now).tainted(result, signer)


def _why_none(state: TrustState, item: Evidence[Manifest], suite: Suite) -> tuple[SuiteState, str]:
    """Return the state of a suite that no result passes, with the detail."""
    results: Iterable[Evidence[Result]] = state.results.get(item.digest, ())
    if any(same_suite(suite, e) for r in results for e in r.predicate.configuration):
        detail = "no result passes it, signed by an evaluator's active key"
        return SuiteState.NOT_COUNTED, detail
    return SuiteState.MISSING, ""


def _succeeded(state: TrustState, item: Evidence[Manifest]) -> bool:
    """Return whether a successor took over in every declared environment of a manifest."""
    patterns = tuple(spec.id for spec in item.predicate.environments)
    here = [name for name in state.environments if any_matches(patterns, name)]
    return bool(here) and all((item.digest, name) in state.taken_over for name in here)
