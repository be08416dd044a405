"""Prints an assessment as a table for people and as JSON for programs."""

from __future__ import annotations

from typing import Any

from rich.table import Table
from rich.text import Text

from sidecar.core.assessment import ANNOUNCED, SHUTDOWN, STEPS, Assessment, Ending, Finding
from sidecar.core.reasons import Reason, remedy
from sidecar.core.validity import CREDENTIAL
from sidecar.core.window import rfc3339


def to_json(assessment: Assessment, *, asked: dict[str, str]) -> dict[str, Any]:
    """Return the assessment as JSON values.

    Args:
        assessment: The answer.
        asked: What was asked: ``model``, ``environment``, ``provider``, ``operation``, ``at``.
    """
    ends = first_ending(assessment) if assessment.admissible else None
    announced = _announced(assessment) if assessment.admissible else None
    return {
        **asked,
        "admissible": assessment.admissible,
        "reason": assessment.reason or Reason.ADMITTED,
        "valid_until": None if ends is None else rfc3339(ends.at),
        "ends_first": None if ends is None else ending_json(ends),
        "announced_end": None if announced is None else ending_json(announced),
        "constituents": list(assessment.constituents),
        "objectors": list(assessment.objectors),
        "must_be_fresh": list(assessment.must_be_fresh),
        "jurisdictions": list(assessment.jurisdictions),
        "floors": {
            "jurisdictions": list(assessment.floor_jurisdictions),
            "roles": list(assessment.floor_roles),
        },
        "manifests": list(assessment.manifests),
        "of_record": list(assessment.of_record),
        "steps": [
            _step(finding) for finding in sorted(assessment.findings, key=lambda each: each.step)
        ],
        "not_reached": _not_reached(assessment),
    }


def first_ending(assessment: Assessment) -> Ending | None:
    """Return what ends first of what was relied on, apart from the (assumed) credential."""
    ends = [ending for ending in assessment.endings if ending.what != CREDENTIAL]
    return min(ends, default=None)


def _announced(assessment: Assessment) -> Ending | None:
    """Return the next announced end, however far ahead."""
    return min(
        (end for end in assessment.endings if end.what in (ANNOUNCED, SHUTDOWN)), default=None
    )


def ending_json(ending: Ending) -> dict[str, str]:
    """Return when something ends, what, and whose it is, as JSON values."""
    return {"at": rfc3339(ending.at), "what": ending.what, "whose": ending.whose}


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
            "effective": None if withdrawn.effective is None else rfc3339(withdrawn.effective),
        },
        "remedy": None if finding.reason is None else remedy(finding.reason),
    }


def _not_reached(assessment: Assessment) -> list[int]:
    reached = {finding.step for finding in assessment.findings}
    return [number for number in range(len(STEPS)) if number not in reached]


def steps_table(assessment: Assessment, *, asked: dict[str, str]) -> Table:
    """Return every numbered step with its outcome and, where it fails, the remedy.

    The query is shown once, in the title, and not in every row.
    """
    short = {asked["model"]: "", asked["environment"]: "environment"}
    heading = Text.assemble(
        (asked["model"], "bold"), " in ", (asked["environment"], "bold"), f", {asked['operation']}"
    )
    table = Table(title=heading, title_justify="left", show_header=False, pad_edge=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for number in range(len(STEPS)):
        found = [finding for finding in assessment.findings if finding.step == number]
        for finding in found:
            mark = Text("✓", style="green") if finding.holds else Text("✗", style="bold red")
            about = short.get(finding.subject, "" if number in {0, 7} else finding.subject)
            table.add_row(mark, _failed_text(finding, about))
        if not found:
            title = Text.assemble(f"{number}. {STEPS[number]}", ("  not reached", "dim"))
            table.add_row("·", title)
    for kind, names, meaning in _relied_on(assessment):
        if names:
            table.add_row("", Text.assemble(f"{kind}: {', '.join(names)}", (f"  {meaning}", "dim")))
    return table


def _relied_on(assessment: Assessment) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """Return what the steps were taken with: a heading, names, and what they mean."""
    floors = "whatever the customer declares"
    return (
        ("constituents", assessment.constituents, "each must be fresh"),
        ("objectors", assessment.objectors, "by their grants: a withdrawal by any of these counts"),
        ("silence denies", assessment.must_be_fresh, "each must be fresh, relied on or not"),
        ("jurisdictions that floors add", assessment.floor_jurisdictions, floors),
        ("roles that floors require", assessment.floor_roles, floors),
    )


def _failed_text(finding: Finding, about: str) -> Text:
    """Return the failed step, and below it its subject, the reason and the remedy."""
    text = Text(f"{finding.step}. {STEPS[finding.step]}")
    text.append("\n   ")
    if about:
        text.append(f"{about}: ", style="dim")
    if finding.reason is not None:
        text.append(f"{finding.reason}  ", style="bold red")
    text.append(finding.detail, style="dim" if finding.holds else "")
    if finding.reason is not None:
        text.append(f"\n   → {remedy(finding.reason)}", style="cyan")
    return text


def until(
    assessment: Assessment, word: str, condition: str = "", ends: Ending | None = None
) -> Text:
    """Return until when something is admissible, what ends then, and the next announced end.

    ``ends`` replaces the first end of all but the credential.
    """
    ends = ends or first_ending(assessment)
    if ends is None:
        return Text.assemble((word, "bold green"), condition)
    whose = f" of {ends.whose}" if ends.whose else ""
    text = Text.assemble(
        (word, "bold green"),
        f" until {rfc3339(ends.at)}{condition}\n",
        (f"the first to end: {ends.what}{whose}", "dim"),
    )
    announced = _announced(assessment)
    if announced is not None:
        by = f" by {announced.whose}" if announced.whose else ""
        text.append(f"\nannounced to end on {rfc3339(announced.at)}{by}", style="yellow")
    return text


def summary(assessment: Assessment) -> Text:
    """Return two lines: until when it is admissible and by what, or the reason and its remedy."""
    if assessment.reason is None:
        return until(assessment, "admissible", ", policies permitting")
    failed = assessment.failed
    detail = "" if failed is None else f"  {failed.subject}: {failed.detail}"
    return Text.assemble(
        ("not admissible", "bold red"),
        f"  {assessment.reason}{detail}\n",
        ("→ " + remedy(assessment.reason), "cyan"),
    )
