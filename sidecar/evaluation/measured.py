"""Maps the measurements of tools' reports to the suites that a manifest declares.

A tool's filters and limits on its data set leave no trace in most reports. So the number of cases
of each suite is stated beside its report, or counted in the suite that the manifest declares.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from sidecar.durable.files import read_bounded
from sidecar.evaluation.countersign import Measured
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.interval import wilson
from sidecar.evaluation.report_formats import ToolScore
from sidecar.evaluation.reports import BoundName, ToolReport
from sidecar.evaluation.suite import MAX_CASES_BYTES, read_suite


@dataclass(frozen=True, slots=True)
class SuiteCases:
    """The cases of a suite: how many, and the texts they ask, as far as these are known."""

    count: int
    texts: tuple[str, ...] = ()


def read_cases(path: Path, declared: Iterable[str]) -> SuiteCases:
    """Read the cases of a suite that a manifest declares.

    Args:
        path: The suite: its folder, or its one file, which has a case on each line.
        declared: Digests (lower-case hex) of the suites of its name.

    Raises:
        EvaluationError: It cannot be read, or has another digest.
    """
    if path.is_dir():
        suite = read_suite(path)
        texts = tuple(text for case in suite.cases for text in _user_texts(case.fields["input"]))
        digest, cases = suite.digest, SuiteCases(len(suite.cases), texts)
    elif path.suffix == ".jsonl":
        try:
            data = read_bounded(path, MAX_CASES_BYTES)
        except OSError as error:
            raise EvaluationError(f"{path}: {error.strerror}") from error
        digest = hashlib.sha256(data).hexdigest()
        cases = SuiteCases(sum(bool(line.strip()) for line in data.split(b"\n")))
    else:
        raise EvaluationError(
            f"{path}: neither a suite's folder nor a .jsonl file with a case on each line; state"
            " the number of its cases"
        )
    known = tuple(declared)
    if digest not in known:
        raise EvaluationError(
            f"{path}: is another edition than the manifest declares: its digest is {digest},"
            f" expected {' or '.join(known)}"
        )
    return cases


def _user_texts(given: object) -> Iterator[str]:
    """Yield what the user asks in a case's input: a text, or a list of messages."""
    if isinstance(given, str):
        yield given
    for each in given if isinstance(given, list) else ():
        if isinstance(each, dict) and each.get("role") == "user":
            yield str(each.get("content"))


def measured(
    reports: Iterable[ToolReport],
    keys: Mapping[str, Iterable[str]],
    cases: Mapping[str, SuiteCases],
    model: str,
    bound: Iterable[BoundName] = (),
) -> tuple[Measured, ...]:
    """Return one score for each suite that is mapped.

    Args:
        reports: Each whole, each of ``model``.
        keys: Name of a declared suite → the measurements that make it up; pooled by samples.
        cases: Name of each of these suites → its cases.
        model: The manifest's model id.
        bound: Deployments that its provider bound to the manifest.

    Raises:
        EvaluationError: A report is of another model; a key is in no report, or in several; a
            measurement counts for two suites, or one report is not mapped at all; a suite's cases
            are not stated, or are not those of its measurements.
    """
    given, deployments = tuple(reports), tuple(bound)
    for report in given:
        report.check_model(model, deployments)
    used: dict[str, str] = {}
    rows = []
    for suite, wanted in keys.items():
        names = tuple(wanted)
        found = [_find(given, suite, key) for key in names]
        for key in names:
            if key in used:
                raise EvaluationError(f"{key} is mapped to {used[key]} and to {suite}")
            used[key] = suite
        compared = _check_cases(suite, found, cases.get(suite))
        rows.append(replace(_pooled(suite, found), counted=not compared))
    for report in given:
        if not set(report.scores) & set(used):
            raise EvaluationError(
                f"nothing of the {report.tool} report is mapped; it measures "
                + ", ".join(sorted(report.scores))
            )
    return tuple(rows)


def _find(reports: tuple[ToolReport, ...], suite: str, key: str) -> tuple[ToolReport, ToolScore]:
    found = [(report, report.scores[key]) for report in reports if key in report.scores]
    if len(found) != 1:
        known = sorted({name for report in reports for name in report.scores})
        count = "no report measures" if not found else f"{len(found)} reports measure"
        raise EvaluationError(f"suite {suite}: {count} {key}; measured are {', '.join(known)}")
    return found[0]


_SHOWN = 60


def _check_cases(
    suite: str, found: list[tuple[ToolReport, ToolScore]], expected: SuiteCases | None
) -> bool:
    """Compare the cases of a report with a suite's; return whether their texts were compared."""
    tool = found[0][0].tool
    counted = sum(score.cases for _, score in found)
    if expected is None:
        raise EvaluationError(
            f"suite {suite}: the number of its cases is not stated; the report has {counted}, and"
            " does not name those that a filter left out"
        )
    if counted != expected.count:
        raise EvaluationError(
            f"suite {suite} has {expected.count} cases, and the {tool} report {counted} different"
            " ones: run exactly those of the suite"
        )
    asked = "\0".join(text for _, score in found for text in score.asked)
    missing = [text for text in expected.texts if text not in asked] if asked else []
    if missing:
        raise EvaluationError(
            f"suite {suite}: the {tool} report does not have {len(missing)} of its questions, such"
            f" as {missing[0][:_SHOWN]!r}: run the cases of the declared edition"
        )
    return bool(asked and expected.texts)


def _pooled(suite: str, found: list[tuple[ToolReport, ToolScore]]) -> Measured:
    if len({report.digest for report, _ in found}) != 1:
        raise EvaluationError(f"suite {suite}: its measurements are of different reports")
    report = found[0][0]
    samples = sum(each.samples for _, each in found)
    score = sum(each.score * each.samples for _, each in found) / samples
    low, high = wilson(score, samples)
    return Measured(
        suite,
        score,
        samples=samples,
        low=low,
        high=high,
        tool=report.tool,
        report=report.digest,
        performed=report.performed,
    )
