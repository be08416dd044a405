"""Writes a report as JUnit XML: a test for each case, and one for the threshold of each suite.

A case that scores below 1 is not a failure by itself: a suite passes at its threshold. So a failing
case is a test that was skipped with a message, unless its suite is not passed.
"""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

from sidecar.evaluation.report.record import Report, SuiteRecord, suite_label

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped (section 2.2)."""

MAX_CHARS = 2_000


def junit_xml(report: Report) -> str:
    """Return the document."""
    missing = "".join(
        f'<testsuite name={_value(suite_label(suite))} tests="1" failures="0" errors="1"'
        f' skipped="0"><testcase classname={_value(suite_label(suite))} name="threshold">'
        '<error message="declared and not run"/></testcase></testsuite>\n'
        for suite in report.missing
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<testsuites name={_value(report.model)}>\n"
        + "".join(map(_suite, report.records))
        + missing
        + "</testsuites>\n"
    )


def _suite(record: SuiteRecord) -> str:
    below = len(record.failing)
    failures = 0 if record.passed else below + 1
    skipped = below if record.passed else 0
    cases = "".join(
        f"<testcase classname={_value(record.label)} name={_value(case.id)}"
        + (
            "/>\n"
            if case.score >= 1
            else f">{_outcome(record, case.score, case.answer)}</testcase>\n"
        )
        for case in record.cases
    )
    taken = sum(each.seconds for each in record.used)
    summary = f"score {record.score:.4f}, threshold {record.threshold:g}"
    threshold = "" if record.passed else f"<failure message={_value(summary)}/>"
    return (
        f'<testsuite name={_value(record.label)} tests="{record.samples + 1}" '
        f'failures="{failures}" errors="0" skipped="{skipped}" time="{taken:.3f}">\n'
        f'<testcase classname={_value(record.label)} name="threshold">{threshold}'
        f"<system-out>{_text(summary)}</system-out></testcase>\n{cases}</testsuite>\n"
    )


def _outcome(record: SuiteRecord, score: float, output: str) -> str:
    kind = "skipped" if record.passed else "failure"
    message = f"score {score:g}" + ("; the suite passed" if record.passed else "")
    return f"<{kind} message={_value(message)}>{_text(output[:MAX_CHARS])}</{kind}>"


def _value(text: str) -> str:
    return quoteattr(_FORBIDDEN.sub("\ufffd", text))


def _text(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text))
