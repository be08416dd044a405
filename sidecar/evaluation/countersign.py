"""Countersigns measured scores as the pre-activation result of exactly one manifest.

Theory of operation. The manifest declared its suites, with digests and thresholds, before any was
run. The scores must cover every suite and no other; a score that has a digest must have the
declared one. Each score is compared with the *declared* threshold, and the result is PASSED only if
every score reaches it. A FAILED result is signed too, and overrides any PASSED one for the same
manifest while it is in force.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sidecar.core import strict_json
from sidecar.core.evidence import Statement
from sidecar.core.predicates import (
    RESULT,
    Manifest,
    Result,
    Subject,
    Suite,
    SuiteAnnotations,
    SuiteResult,
)
from sidecar.core.window import Window, parse_instant
from sidecar.core.wire import DigestSet, first_fault
from sidecar.evaluation.errors import EvaluationError

MAX_RESULTS_BYTES = 1 << 20
PASSED: Literal["PASSED"] = "PASSED"
FAILED: Literal["FAILED"] = "FAILED"
COUNTED = "; cases counted, not compared"
"""What a result adds to the tool's name where a report was not compared case by case."""


class _Row(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: str
    score: float
    digest: str | dict[str, str]
    model: str
    kind: str | None = None
    jurisdiction: str | None = None
    samples: int | None = None
    low: float | None = None
    high: float | None = None
    tool: str | None = None
    report: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    performed: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A score, which must fit exactly one declared suite; a field that is ``None`` fits any.

    Attributes:
        name: Of the suite.
        score: The mean over its cases.
        kind: Of the suite, where the name alone is not enough.
        jurisdiction: Likewise.
        digest: Of the edition that was run; it must be the declared one.
        samples: How many answers were scored, where known.
        low: Lower end of the 95 % interval, where known.
        high: Its upper end.
        tool: What measured it.
        report: SHA-256 of the tool's report.
        performed: When the run began, where known.
        model: Id of the model that answered, where known; it must be the manifest's.
        counted: Only the number of its cases was compared with the suite's, not what they ask.
    """

    name: str
    score: float
    kind: str | None = None
    jurisdiction: str | None = None
    digest: str | None = None
    samples: int | None = None
    low: float | None = None
    high: float | None = None
    tool: str | None = None
    report: str | None = None
    performed: datetime | None = None
    model: str | None = None
    counted: bool = False


def read_results(data: bytes) -> tuple[Measured, ...]:
    """Read a results file: a list of ``{name, score, digest, model, kind?, jurisdiction?, …}``.

    An object with that list under ``results`` is accepted too. Digest (of the suite) and model are
    required: a score without them could be of another edition, or of another model.

    Raises:
        EvaluationError: Not such a file; names the entry and the field.
    """
    try:
        value = strict_json.loads(data, max_bytes=MAX_RESULTS_BYTES)
    except strict_json.StrictJsonError as error:
        raise EvaluationError(f"results: {error}") from error
    rows = value.get("results") if isinstance(value, dict) else value
    return tuple(_measured(row) for row in _rows(rows))


def countersign(
    manifest: Manifest, digest: str, measured: Iterable[Measured], window: Window
) -> Statement[Result]:
    """Return the statement of the result for one manifest.

    Args:
        manifest: The manifest that declared the envelope.
        digest: SHA-256 of its payload, lower-case hex.
        measured: A score for each declared suite.
        window: From the run of the suites to the expiry of the result.

    Raises:
        EvaluationError: A suite has no score, or several; a score fits no suite, or several; a
            digest or a model differs.
    """
    rows = tuple(measured)
    _check_model(rows, manifest.model.id)
    suites = manifest.envelope.suites
    for row in rows:
        # One score must not count for two suites, such as those of two jurisdictions.
        fitting = [_label(suite) for suite in suites if _fits(suite, row)]
        if not fitting:
            raise EvaluationError(f"the envelope declares no suite {_asked(row)}")
        if len(fitting) > 1:
            raise EvaluationError(
                f"a score of {row.name} fits several suites: {' or '.join(fitting)}; give its kind"
                " or jurisdiction"
            )
    results = tuple(_result(suite, rows) for suite in suites)
    passed = all(item.annotations.score >= item.annotations.threshold for item in results)
    predicate = Result(PASSED if passed else FAILED, results, window)
    subject = Subject(manifest.model.id, DigestSet(digest))
    return Statement(subject, RESULT, predicate)


def _result(suite: Suite, rows: tuple[Measured, ...]) -> SuiteResult:
    found = [row for row in rows if _fits(suite, row)]
    if len(found) != 1:
        count = "no score" if not found else f"{len(found)} scores"
        raise EvaluationError(f"{count} for the declared {_label(suite)}")
    row = found[0]
    if row.digest is not None and row.digest != suite.digest.sha256:
        raise EvaluationError(
            f"the score is of another edition of the {_label(suite)}: its"
            f" digest is {row.digest or 'no SHA-256'},"
            f" the declared one {suite.digest.sha256}"
        )
    return SuiteResult(
        name=suite.name,
        digest=suite.digest,
        annotations=SuiteAnnotations(
            suite.kind,
            suite.threshold,
            row.score,
            suite.jurisdiction,
            row.samples,
            row.low,
            row.high,
            f"{row.tool}{COUNTED}" if row.counted else row.tool,
            row.report,
        ),
    )


def _check_model(rows: Iterable[Measured], model: str) -> None:
    others = {row.model for row in rows if row.model not in {None, model}}
    if others:
        named = ", ".join(sorted(map(str, others)))
        raise EvaluationError(f"the scores are of {named}, and the manifest is of {model}")


def _fits(suite: Suite, row: Measured) -> bool:
    return (
        row.name == suite.name
        and row.kind in {None, suite.kind}
        and row.jurisdiction in {None, suite.jurisdiction}
    )


def _rows(value: Any) -> list[_Row]:  # noqa: ANN401 - JSON is any value
    try:
        return TypeAdapter(list[_Row]).validate_python(value)
    except ValidationError as error:
        raise EvaluationError(f"results: {first_fault(error)}") from error


def _measured(row: _Row) -> Measured:
    if not math.isfinite(row.score):
        raise EvaluationError(f"results: the score of {row.name} is not a number")
    digest = row.digest.get("sha256", "") if isinstance(row.digest, dict) else row.digest
    if row.samples is not None and row.samples < 1:
        raise EvaluationError(f"results: the score of {row.name} has {row.samples} samples")
    ends = (row.low, row.high)
    if any(end is not None and not math.isfinite(end) for end in ends):
        raise EvaluationError(f"results: the interval of {row.name} is not of numbers")
    return Measured(
        row.name,
        row.score,
        row.kind,
        row.jurisdiction,
        digest,
        row.samples,
        *ends,
        row.tool,
        row.report,
        _instant(row),
        row.model,
    )


def _instant(row: _Row) -> datetime | None:
    try:
        return None if row.performed is None else parse_instant(row.performed)
    except ValueError as error:
        raise EvaluationError(f"results: the score of {row.name}: performed: {error}") from error


def _label(suite: Suite) -> str:
    where = f" for {suite.jurisdiction}" if suite.jurisdiction else ""
    return f"{suite.kind} suite {suite.name}{where}"


def _asked(row: Measured) -> str:
    where = f" for {row.jurisdiction}" if row.jurisdiction else ""
    return f"{row.name} ({row.kind or 'any kind'}{where})"
