"""Write the reference of reason codes, from the table of reasons."""

from __future__ import annotations

from admissibility_devtools.site.tables import table
from sidecar.core.reasons import REASONS, Reason

HEAD = """# Reason codes

Every decision carries one reason code: in the reply's header `x-admissibility-reason` and in
`error.code`, in the metric `admissibility_decisions_total`, and in the decision log. A denial
carries the code of the first step of [the predicate](../concepts.md#a-decision) that failed. The
codes are stable: dashboards and clients may match them.

"""
OUTSIDE = "—"


def page() -> str:
    """Return the page: one row for each code, in the order of the predicate's steps."""
    rows = [_row(reason) for reason in Reason]
    return HEAD + table(("code", "step", "HTTP status", "what to do"), rows)


def _row(reason: Reason) -> tuple[str, str, str, str]:
    row = REASONS[reason]
    step = OUTSIDE if row.step is None else str(row.step)
    return f"`{reason.value}`", step, str(row.status), row.remedy
