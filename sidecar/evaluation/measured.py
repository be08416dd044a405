"""Maps the measurements of tools' reports to the suites that a manifest declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sidecar.evaluation.countersign import Measured
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.interval import wilson
from sidecar.evaluation.reports import ToolReport, ToolScore


def measured(
    reports: Iterable[ToolReport], keys: Mapping[str, Iterable[str]], model: str
) -> tuple[Measured, ...]:
    """Return one score for each suite that is mapped.

    Args:
        reports: Each whole, each of ``model``.
        keys: Name of a declared suite → the measurements that make it up; pooled by samples.
        model: The manifest's model id.

    Raises:
        EvaluationError: A report is of another model; a key is in no report, or in several; a
            measurement counts for two suites, or one report is not mapped at all.
    """
    given = tuple(reports)
    for report in given:
        report.check_model(model)
    used: dict[str, str] = {}
    rows = []
    for suite, wanted in keys.items():
        names = tuple(wanted)
        found = [_find(given, suite, key) for key in names]
        for key in names:
            if key in used:
                raise EvaluationError(f"{key} is mapped to {used[key]} and to {suite}")
            used[key] = suite
        rows.append(_pooled(suite, found))
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
