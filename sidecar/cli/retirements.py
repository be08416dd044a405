"""Announces retirement dates (``admit retirements``)."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from sidecar.authority import home as authority
from sidecar.authority import retirements
from sidecar.authority.open_home import Home
from sidecar.authority.retirements import Announced, Change
from sidecar.cli import common
from sidecar.cli.common import CliError, HomeOption, JsonOption, command_group
from sidecar.cli.tables import show_table, stdout
from sidecar.core.documents import Withdrawal
from sidecar.core.window import rfc3339
from sidecar.providers import PROVIDERS

app = command_group("The dates from which a provider's models are retired.")


@app.callback()
def group() -> None:
    """Keep ``import`` a command of its own."""


@app.command("import")
def import_list(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV with the columns model and date (and reason), or the JSON reply of Azure "
            "OpenAI's or Bedrock's list of models."
        ),
    ],
    home: HomeOption,
    provider: Annotated[
        str,
        typer.Option(help="The provider that hosts the models, by the name the gate has for it."),
    ],
    postpone: Annotated[
        bool, typer.Option("--postpone", help="Also move an end that is still ahead to later.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; publish nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask on a terminal.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Announce the dates in a list: each is a withdrawal of the base model from then on.

    Gates report them from 90 days ahead, then deny the model and what was tuned from it. A model
    that is no longer listed stays withdrawn.

    Examples:
        admit retirements import retirements.csv --provider openai
    """
    known = sorted(PROVIDERS)
    if provider not in known:
        common.warn(
            f"--provider {provider}: no API of this name is known ({', '.join(known)}); right only "
            "where a route of the operator has this name"
        )
    opened = authority.load(home)
    found = retirements.read_list(common.read(file, max_bytes=retirements.MAX_LIST_BYTES), provider)
    now = common.now()
    plan = retirements.announce(opened, found.entries, now, postpone=postpone, dry_run=True)
    if not as_json:
        _show(plan, found.undated)
    _warn_of_past(plan, now)
    if dry_run:
        if as_json:
            _report(opened, plan, found.undated)
        return
    if not yes and not as_json and sys.stdin.isatty() and not typer.confirm("Publish?", err=True):
        raise CliError("nothing was changed")
    done = retirements.announce(opened, found.entries, now, postpone=postpone)
    if as_json:
        _report(opened, done, found.undated)
    elif done.publication is None:
        print("nothing changed; nothing was published")
    else:
        common.warn(*done.publication.warnings)
        print(f"published version {done.publication.version}: copy {opened.repository} now")


def _warn_of_past(plan: Announced, now: datetime) -> None:
    """Name the base models that publishing the list withdraws at once."""
    over = sorted(
        entry.subject
        for entry, change, _ in plan.changes
        if change in {Change.NEW, Change.EARLIER}
        and (entry.effective is None or entry.effective <= now)
    )
    if over:
        common.warn(
            f"the date of {', '.join(over)} is over: gates refuse what is named so, and what was "
            "tuned from it, as soon as this is published"
        )


def _show(plan: Announced, undated: int) -> None:
    console = stdout()
    rows = [
        [entry.subject, "" if entry.effective is None else rfc3339(entry.effective)[:10], change]
        for entry, change, _ in sorted(plan.changes, key=_by_date)
        if change is not Change.SAME
    ]
    if rows:
        show_table(console, ("base model", "ends on", "change"), rows)
    same = sum(change is Change.SAME for _, change, _ in plan.changes)
    console.print(f"{same} published already, {undated} without a date")
    if any(change is Change.KEPT for _, change, _ in plan.changes):
        common.warn("some dates are later than published and stay as they are: see --postpone")


def _by_date(row: tuple[Withdrawal, Change, datetime | None]) -> tuple[str, str]:
    at = row[0].effective
    return "" if at is None else rfc3339(at), row[0].subject


def _report(home: Home, done: Announced, undated: int) -> None:
    common.report(
        "",
        {},
        as_json=True,
        name=home.name,
        undated=undated,
        changes=[
            {
                "subject": entry.subject,
                "effective": None if entry.effective is None else rfc3339(entry.effective),
                "change": change.value,
                "published": None if before is None else rfc3339(before),
            }
            for entry, change, before in done.changes
        ],
        version=None if done.publication is None else done.publication.version,
    )
