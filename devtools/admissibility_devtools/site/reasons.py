"""Write the reference of reason codes."""

from __future__ import annotations

from admissibility_devtools.site.tables import table
from sidecar.core.reasons import Reason, http_status, remedy

HEAD = """# Reason codes

Every decision carries one reason code: in the reply's `x-admissibility-reason` header and
`error.code`, in the metric `admissibility_decisions_total`, and in the decision log. A denial
carries the code of the first step of the predicate that failed, in the order below. The codes are
stable; dashboards and clients may match them.

"""


def page() -> str:
    """Return the page: one row for each code, in the order of the predicate's steps."""
    rows = [(f"`{reason.value}`", str(http_status(reason)), remedy(reason)) for reason in Reason]
    return HEAD + table(("code", "HTTP status", "what to do"), rows)
