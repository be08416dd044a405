"""An assessment as a table for people and as JSON for programs; both say the same."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from sidecar.core.assessment import STEPS, Assessment, Finding
from sidecar.core.reasons import Reason, remedy
from sidecar.core.window import rfc3339


def to_json(assessment: Assessment, *, asked: dict[str, str]) -> dict[str, Any]:
    """Return the assessment as JSON values.

    Args:
        assessment: The answer.
        asked: What was asked: ``model``, ``environment``, ``provider``, ``operation``, ``at``.
    """
    return {
        **asked,
        "admissible": assessment.admissible,
        "reason": assessment.reason or Reason.ADMITTED,
        "valid_until": rfc3339(assessment.valid_until) if assessment.admissible else None,
        "constituents": list(assessment.constituents),
        "manifests": list(assessment.manifests),
        "of_record": _of_record(assessment),
        "steps": [_step(finding) for finding in assessment.findings],
        "not_reached": _not_reached(assessment),
    }


def _step(finding: Finding) -> dict[str, Any]:
    withdrawn = finding.withdrawn
    return {
        "step": finding.step,
        "asserts": STEPS[finding.step],
        "subject": finding.subject,
        "holds": finding.holds,
        "reason": finding.reason,
        "detail": finding.detail,
        "missing": list(finding.missing),
        "withdrawn": None
        if withdrawn is None
        else {
            "kind": withdrawn.node.kind,
            "subject": withdrawn.node.subject,
            "authority": withdrawn.authority,
            "reason": withdrawn.reason,
            "effective": rfc3339(withdrawn.effective),
        },
        "remedy": None if finding.reason is None else remedy(finding.reason),
    }


def _of_record(assessment: Assessment) -> list[str]:
    """Authorities that spoke for a provider which does not sign for itself."""
    return sorted(
        {
            entry.signer.authority
            for chain in assessment.chains
            for entry in chain.approvals
            if entry.of_record
        }
    )


def _not_reached(assessment: Assessment) -> list[int]:
    reached = {finding.step for finding in assessment.findings}
    return [number for number in range(len(STEPS)) if number not in reached]


def steps_table(assessment: Assessment, *, asked: dict[str, str]) -> Table:
    """Return every numbered step with its outcome and, where it fails, the remedy.

    What was asked about is told once, above; in the rows it is only called what it is.
    """
    short = {asked["model"]: "model", asked["environment"]: "environment"}
    heading = Text.assemble(
        (asked["model"], "bold"), " in ", (asked["environment"], "bold"), f", {asked['operation']}"
    )
    table = Table(title=heading, title_justify="left", show_header=False, pad_edge=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", min_width=56)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for finding in assessment.findings:
        mark = Text("✓", style="green") if finding.holds else Text("✗", style="bold red")
        outcome = Text(finding.detail)
        if finding.reason is not None:
            outcome = Text.assemble(
                (str(finding.reason), "bold red"),
                f"  {finding.detail}\n",
                ("→ " + remedy(finding.reason), "cyan"),
            )
        title = Text(f"{finding.step}. {STEPS[finding.step]}")
        about = short.get(finding.subject, "" if finding.step in {0, 7} else finding.subject)
        table.add_row(mark, title, Text(about, style="dim"), outcome)
    for number in _not_reached(assessment):
        table.add_row("·", Text(f"{number}. {STEPS[number]}"), "", Text("not reached", style="dim"))
    return table


def summary(assessment: Assessment) -> Text:
    """Return one line: admissible until when, or the reason and its remedy."""
    if assessment.reason is None:
        until = rfc3339(assessment.valid_until)
        return Text.assemble(("admissible", "bold green"), f" until {until}, policies permitting")
    failed = assessment.failed
    detail = "" if failed is None else f"  {failed.subject}: {failed.detail}"
    return Text.assemble(
        ("not admissible", "bold red"),
        f"  {assessment.reason}{detail}\n",
        ("→ " + remedy(assessment.reason), "cyan"),
    )
