"""``admit evaluate due``: what must be evaluated (again), and by when."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from sidecar.cli.common import CliError, JsonOption, present
from sidecar.cli.long_work import progress
from sidecar.cli.refresh_status import print_problems
from sidecar.cli.tables import show_table, stdout
from sidecar.cli.verify import DEFAULT_TRUST, Trust
from sidecar.core.window import rfc3339
from sidecar.evaluation.due import SuiteStatus, suite_statuses
from sidecar.evaluation.suite import read_suite
from sidecar.trust.config import load
from sidecar.trust.load_once import load_once

DUE = 3
"""Exit status where something is due."""

_LONGEST_DAYS = 36_500


def due(
    trust: Trust = DEFAULT_TRUST,
    within: Annotated[
        float, typer.Option(min=0, max=_LONGEST_DAYS, help="Days ahead that count as soon.")
    ] = 14,
    suite: Annotated[
        list[Path] | None,
        typer.Option(help="A suite's folder, to be compared with what is declared; repeatable."),
    ] = None,
    show_all: Annotated[
        bool, typer.Option("--all", help="List suites with a current result as well.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List results that are missing, end soon, ended or failed, and suites that were changed.

    For a scheduler: exit status 0 if nothing is due, 3 if something is.

    Examples:
        admit evaluate due --trust trust.yaml --within 30
    """
    read = [read_suite(folder) for folder in suite or []]
    editions = {(each.kind, each.name): each.digest for each in read}
    if len(editions) != len(read):
        raise CliError("--suite: two folders have one kind and name")
    now = datetime.now(UTC)
    config = load(present(trust, "--trust"))
    with progress("verifying evidence") as advanced:
        state, statuses = load_once(config, advanced)
    found = suite_statuses(state, now, now + timedelta(days=within), editions)
    shown = [each for each in found if each.due or show_all]
    if as_json:
        errors = {each.name: each.error for each in statuses if each.error is not None}
        value = {
            "at": rfc3339(now),
            "due": sum(each.due for each in found),
            "suites": [_facts(each) for each in shown],
            "unheard": errors,
        }
        print(json.dumps(value, indent=2))
    else:
        console = stdout()
        if shown:
            headings = ("model", "suite", "is", "until", "evaluator", "manifest", "detail")
            show_table(console, headings, [_row(each) for each in shown])
        count = sum(each.due for each in found)
        console.print(f"{count} of {len(found)} suites are due within {within:g} days")
        print_problems(console, statuses)
    if any(each.due for each in found):
        raise typer.Exit(DUE)


def _facts(found: SuiteStatus) -> dict[str, Any]:
    return {
        "model": found.model,
        "manifest": found.manifest,
        "kind": found.suite.kind,
        "jurisdiction": found.suite.jurisdiction,
        "suite": found.suite.name,
        "digest": found.suite.digest.sha256,
        "is": found.state.value,
        "until": None if found.until is None else rfc3339(found.until),
        "evaluator": found.evaluator or None,
        "detail": found.detail or None,
    }


def _row(found: SuiteStatus) -> tuple[str, ...]:
    where = f" ({found.suite.jurisdiction})" if found.suite.jurisdiction else ""
    return (
        found.model,
        f"{found.suite.name}{where}",
        found.state.value,
        "" if found.until is None else rfc3339(found.until),
        found.evaluator,
        found.manifest[:16],
        found.detail,
    )
