"""Prints the results of the policy commands, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidecar.core.facts import WaiverFacts
from sidecar.formats.amounts import amount
from sidecar.policy import pages
from sidecar.policy.checks import Checked, Problem, Report
from sidecar.policy.rules import Catalogue

GOOD, BAD = Text("✓", style="green"), Text("✗", style="bold red")
NOT_DONE = Text("·", style="dim")
MAX_SHOWN = 20
_WHOLE = frozenset({"rule", "first decision"})
_STYLES = {"enforced": "bold", "pending": "yellow", "shadow": "dim", "advisory": "cyan"}


def plain_table(*headings: str) -> Table:
    """Return a table without lines, whose cells fold unless they are names to be looked up."""
    table = Table(show_lines=False, pad_edge=False, box=None, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading in _WHOLE)
    return table


# ---- list ----------------------------------------------------------------------------------------


def rules_json(catalogue: Catalogue, day: date) -> list[dict[str, Any]]:
    """Return every rule, with its state on a day."""
    return [
        {**asdict(rule), "state": rule.state_on(day, catalogue.early)} for rule in catalogue.rules
    ]


def rules_table(catalogue: Catalogue, day: date) -> Table:
    """Return a table of every rule with citation, state and date."""
    table = plain_table("rule", "state", "since", "citation")
    for rule in catalogue.rules:
        state = rule.state_on(day, catalogue.early)
        table.add_row(
            Text(rule.code), Text(state, _STYLES.get(state, "")), rule.effective_on, rule.citation
        )
    return table


def rules_markdown(catalogue: Catalogue, day: date) -> str:
    """Return the same table in Markdown."""
    rows = [
        (f"`{r.code}`", r.state_on(day, catalogue.early), r.effective_on, r.citation)
        for r in catalogue.rules
    ]
    return pages.table(rows, ("rule", "state", "since", "citation"))


# ---- check and test ------------------------------------------------------------------------------


def print_check(console: Console, checked: Checked) -> None:
    """Print one check, as soon as it is done."""
    mark = BAD if checked.problems else GOOD if checked.done else NOT_DONE
    why = "" if checked.done else "  not done: OPA cannot read the policies"
    console.print(Text.assemble(mark, f" {checked.name:<8}{checked.seconds:6.2f} s{why}"))
    for problem in checked.problems:
        console.print(Text(f"    {_place(problem)}{problem.message}"), soft_wrap=True)


def _place(problem: Problem) -> str:
    where = f"{problem.file}:{problem.row}" if problem.row else problem.file
    parts = [part for part in (where, problem.code) if part]
    return f"{' '.join(parts)}: " if parts else ""


def report_json(report: Report) -> dict[str, Any]:
    """Return every test, and the coverage."""
    return {
        "tests": [asdict(case) for case in report.cases],
        "failed": [f"{case.package}.{case.name}" for case in report.failed],
        "coverage": report.coverage,
        "uncovered": report.uncovered,
    }


def print_report(console: Console, report: Report) -> None:
    """Print the packages, each failure by name, the slowest tests, and what is not covered."""
    table = plain_table("", "package", "tests", "ms")
    for package in sorted({case.package for case in report.cases}):
        cases = [case for case in report.cases if case.package == package]
        good = all(case.passed for case in cases)
        spent = sum(case.seconds for case in cases)
        table.add_row(GOOD if good else BAD, package, str(len(cases)), f"{1000 * spent:.1f}")
    console.print(table)
    for case in report.failed:
        console.print(Text(f"FAILED {case.package}.{case.name}", style="bold red"))
    slowest = max(report.cases, key=lambda case: case.seconds)
    console.print(f"{amount(len(report.cases), 'test')}, {len(report.failed)} failed")
    console.print(
        f"slowest, {1000 * slowest.seconds:.1f} ms: {slowest.package}.{slowest.name}",
        soft_wrap=True,
    )
    if report.coverage is not None:
        console.print(f"coverage {report.coverage:g} %")
    for file, rows in report.uncovered.items():
        ranges = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in rows[:MAX_SHOWN])
        more = "" if len(rows) <= MAX_SHOWN else ", …"
        console.print(f"    not covered: {file}: {ranges}{more}", soft_wrap=True)


# ---- explain -------------------------------------------------------------------------------------


def print_answer(
    console: Console, answer: Mapping[str, Any], catalogue: Catalogue, *, asked: Mapping[str, str]
) -> None:
    """Print which rules fired, with citations; what warned or was waived; how many held."""
    verdict = Text("allowed", "bold green") if answer["allow"] else Text("denied", "bold red")
    console.print(Text.assemble(verdict, f" by policies {answer['revision'][:19]}…"))
    console.print(
        Text.assemble(
            (asked["model"], "bold"),
            " in ",
            (asked["environment"], "bold"),
            f", {asked['operation']}",
        ),
        soft_wrap=True,
    )
    if answer["violations"] or answer["warnings"]:
        table = plain_table("", "rule", "state", "about", "what")
        for entry in answer["violations"]:
            table.add_row(BAD, *_cells(entry))
        for entry in answer["warnings"]:
            table.add_row(Text("!", "yellow"), *_cells(entry))
        console.print(table)
    for package, held in rules_that_held(answer, catalogue).items():
        console.print(f"{package}: {held} of {len(catalogue.of(package))} rules hold")


def waivers_json(
    waivers: Iterable[WaiverFacts], answer: Mapping[str, Any], catalogue: Catalogue
) -> list[dict[str, Any]]:
    """Return every waiver in force here, whether it excuses a violation, and why not."""
    codes = {rule.code for rule in catalogue.rules}
    waived = {(e["code"], e["subject"]) for e in answer["warnings"] if e["state"] == "waived"}
    refused = {(e["code"], e["subject"]) for e in answer["violations"]}
    fired = {e["code"] for e in (*answer["violations"], *answer["warnings"])}

    def why(waiver: WaiverFacts) -> str:
        about = (waiver.rule, waiver.subject)
        if about in waived:
            return ""
        if waiver.rule not in codes:
            return "no policy has this rule"
        if about in refused:
            return "another jurisdiction that asks for this has not waived it"
        return "the violation has another subject" if waiver.rule in fired else "the rule holds"

    return [{**asdict(one), "excuses": not why(one), "why_not": why(one)} for one in waivers]


def print_idle_waivers(console: Console, waivers: Iterable[Mapping[str, Any]]) -> None:
    """Print a line for each waiver in force here that excuses nothing."""
    for one in waivers:
        if not one["excuses"]:
            console.print(
                Text(
                    f"! the waiver of {one['rule']} by {one['authority']} for {one['subject']}"
                    f" excuses nothing here: {one['why_not']}",
                    "yellow",
                ),
                soft_wrap=True,
            )


def _cells(entry: Mapping[str, str]) -> tuple[Text, ...]:
    state = entry.get("state", "")
    by = f" by {entry['authority']}" if entry.get("authority") else ""
    about = entry["subject"] + (f"\n{entry['term']}" if entry.get("term") else "")
    what = Text.assemble(
        f"{entry['message']}\n",
        (f"{entry['citation']}\n", "dim"),
        (f"→ {entry['remedy']}", "cyan"),
    )
    return Text(entry["code"]), Text(f"{state}{by}"), Text(about), what


def rules_that_held(answer: Mapping[str, Any], catalogue: Catalogue) -> dict[str, int]:
    """Count the rules of each evaluated package that found nothing."""
    fired = {entry["code"] for entry in (*answer["violations"], *answer["warnings"])}
    return {
        package: sum(rule.code not in fired for rule in catalogue.of(package))
        for package in sorted(answer["jurisdictions"])
    }
