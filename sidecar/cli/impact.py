"""``admit impact``: what a withdrawal would stop, before it is published."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from sidecar.authority.subjects import normalised
from sidecar.cli import impact_view
from sidecar.cli.common import CliError, JsonOption, present
from sidecar.cli.impact_options import (
    DEFAULT_DAYS,
    Calls,
    DaysOption,
    KindArgument,
    LogOption,
    counted_name,
)
from sidecar.cli.long_work import progress
from sidecar.cli.plain_console import PlainConsole
from sidecar.cli.refresh_status import print_problems
from sidecar.cli.tables import stdout
from sidecar.core.documents import Withdrawal
from sidecar.impact import logged_calls
from sidecar.impact.compare import Impact, impact
from sidecar.impact.page import impact_page
from sidecar.trust.config import load
from sidecar.trust.load_once import load_verified
from sidecar.trust.refresher import AuthorityStatus
from sidecar.trust.source_config import DirectorySourceConfig
from sidecar.trust.spellings import by_other_names


def assess_impact(
    kind: KindArgument,
    subject: Annotated[
        str,
        typer.Argument(help="Digest, fingerprint, SPIFFE ID, provider/id or name of the subject."),
    ],
    authority: Annotated[
        str, typer.Option("--as", help="The authority that would withdraw it, as in trust.yaml.")
    ],
    trust: Annotated[
        Path, typer.Option("--trust", "-t", envvar="ADMIT_TRUST", help="The operator's trust.yaml.")
    ] = Path("trust.yaml"),
    evidence: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of evidence instead of those in trust.yaml; repeatable."),
    ] = None,
    log: LogOption = None,
    days: DaysOption = DEFAULT_DAYS,
    html: Annotated[
        Path | None,
        typer.Option(help="File to write the same to as a page, with the graph of the lineage."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a withdrawal would stop: models, environments, jurisdictions and callers.

    Every call that the evidence could admit is assessed twice, without and with the withdrawal.
    Policies are not evaluated: what they deny already is listed as well. Nothing is published.

    Examples:
        admit impact base-model 'openai/gpt-4o-*' --as model-host --trust trust.yaml
        admit impact corpus DIGEST --as eu-regulator --log decisions.jsonl
            --html impact.html
    """
    entry = Withdrawal(kind, counted_name(kind, normalised(kind, subject)), "not published")
    found, statuses = computed(trust, authority, entry, evidence=evidence, log=log, days=days)
    if html is not None:
        html.write_text(impact_page(found), encoding="utf-8")
    if as_json:
        print(json.dumps(impact_view.to_json(found, statuses), indent=2))
        return
    console = stdout()
    impact_view.show(console, found)
    print_problems(console, statuses)


def computed(
    trust: Path,
    authority: str,
    entry: Withdrawal,
    *,
    evidence: list[Path] | None = None,
    log: list[Path] | None = None,
    days: float = DEFAULT_DAYS,
) -> tuple[Impact, tuple[AuthorityStatus, ...]]:
    """Refresh every authority once and compute the impact of one withdrawal.

    Raises:
        CliError: A folder or a log cannot be read, or the authority is not in ``trust.yaml``.
        ImpactError: The authority's documents were never read.
        TrustConfigError: ``trust.yaml`` is wrong.
    """
    config = load(present(trust, "--trust"))
    if evidence:
        for folder in evidence:
            if not folder.is_dir():
                raise CliError(f"--evidence {folder}: not a folder")
        config = replace(config, evidence=tuple(map(DirectorySourceConfig, evidence)))
    if authority not in (names := [each.name for each in config.authorities]):
        raise CliError(f"--as {authority}: not in {trust}; expected one of {', '.join(names)}")
    now = datetime.now(UTC)
    calls = logged_calls.read(log, _since(now, days)) if log else None
    with progress("verifying evidence") as advanced:
        state, _, statuses = load_verified(config, advanced)
    further = by_other_names(entry)
    with progress("assessing") as advanced:
        found = impact(state, authority, entry, now, further=further, seen=calls, advanced=advanced)
    return found, statuses


def preview(
    trust: Path, authority: str, entry: Withdrawal, evidence: list[Path] | None, calls: Calls
) -> dict[str, Any]:
    """Compute the impact, show it on the error stream, and return it as JSON values."""
    found, statuses = computed(
        trust, authority, entry, evidence=evidence, log=calls.log, days=calls.days
    )
    console = PlainConsole(stderr=True, highlight=False)
    impact_view.show(console, found)
    print_problems(console, statuses)
    return impact_view.to_json(found, statuses)


def _since(now: datetime, days: float) -> datetime:
    try:
        return now - timedelta(days=days)
    except (ValueError, OverflowError) as error:
        raise CliError(f"--days {days}: not a number of days before now") from error
