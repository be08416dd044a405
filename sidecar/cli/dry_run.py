"""``admit explain --request FILE``: what the gate sees in a request, and what it decides."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sidecar.cli import assessment_view, not_counting, refresh_status
from sidecar.cli.common import CliError, present
from sidecar.cli.not_counting import NotCounting
from sidecar.cli.tables import stdout
from sidecar.core.assessment import Ending
from sidecar.core.decide import Decision
from sidecar.core.reasons import http_status, remedy
from sidecar.core.window import rfc3339
from sidecar.extract.raw_request import RawRequestError, parse
from sidecar.observe.decision_record import record
from sidecar.providers.json_paths import AllowedValues, FoundValue, Input, Owned, Role, Stored
from sidecar.service import config as service_config
from sidecar.service.dry_run import DryRun, dry_run
from sidecar.trust.config import load

MAX_REQUEST_BYTES = 64 << 20
_NOT_TOLD = frozenset(
    {Role.DATA, Role.TOOL, Role.UNTYPED_TOOL, Role.ITEM, Role.WORD, Role.FUNCTION}
)
_SHOWN_CHARS = 80


def explain(
    file: Path, config: Path, *, provider: str, api: str | None, sandbox: bool, as_json: bool
) -> None:
    """Decide about the request in ``file`` (``-`` for stdin) in a dry run, and show the result.

    Exit status 0 where it would be admitted, 1 where not.
    """
    settings = service_config.load(present(config, "--config"))
    try:
        message = parse(_read(file), provider=provider, api=api or provider, sandbox=sandbox)
    except RawRequestError as error:
        raise CliError(f"{file}: {error}") from error
    # OPA's log lines belong in a gate's log; an OPA that cannot be queried raises an error.
    logging.getLogger("sidecar").setLevel(logging.ERROR)
    result = asyncio.run(dry_run(settings, load(settings.trust), message))
    if as_json:
        print(json.dumps(to_json(result), indent=2))
    else:
        show(stdout(), result)
    raise typer.Exit(0 if result.outcome.decision.allowed else 1)


def _read(file: Path) -> bytes:
    if str(file) == "-":
        data = sys.stdin.buffer.read(MAX_REQUEST_BYTES + 1)
    else:
        with file.open("rb") as opened:
            data = opened.read(MAX_REQUEST_BYTES + 1)
    if len(data) > MAX_REQUEST_BYTES:
        raise CliError(f"{file}: larger than {MAX_REQUEST_BYTES} bytes")
    return data


def to_json(result: DryRun) -> dict[str, Any]:
    """Return the models found, the steps, and the decision's log record, as JSON values."""
    decision = result.outcome.decision
    credential, assessment = decision.credential, decision.assessment
    view = None if assessment is None else assessment_view.to_json(assessment, asked={})
    ends = _first_ending(decision)
    return {
        "status": http_status(decision.reason),
        "places": [
            {"place": found.where, "what": _what(found), "value": found.value}
            for found in _models_found(result)
        ],
        "expires": None if credential is None else credential.expires.isoformat(),
        "ends_first": None if ends is None else assessment_view.ending_json(ends),
        "steps": None if view is None else view["steps"],
        "authorities": refresh_status.to_json(result.statuses),
        "not_counting": [asdict(one) for one in _not_counting(result)],
        "decision": record(result.outcome),
        "remedy": remedy(decision.reason),
    }


def show(console: Console, result: DryRun) -> None:
    """Print the same for people."""
    decision = result.outcome.decision
    console.print(_seen(result))
    if decision.assessment is not None:
        asked = {
            "model": ", ".join(decision.call.named) if decision.call else "",
            "environment": decision.credential.spiffe_id if decision.credential else "",
            "operation": decision.call.operation if decision.call else "",
        }
        console.print()
        console.print(assessment_view.steps_table(decision.assessment, asked=asked))
    console.print()
    console.print(_verdict(decision))
    for line in not_counting.lines(_not_counting(result)):
        console.print(line)
    refresh_status.print_problems(console, result.statuses)


def _not_counting(result: DryRun) -> tuple[NotCounting, ...]:
    """Return what was signed about the call and counts for nothing, as for a named model."""
    decision = result.outcome.decision
    call, caller, assessment = decision.call, decision.credential, decision.assessment
    if call is None or caller is None or assessment is None:
        return ()
    return not_counting.not_counting(assessment, call, caller.spiffe_id, result.state, decision.at)


def _seen(result: DryRun) -> Table:
    decision, outcome = result.outcome.decision, result.outcome
    call, credential = decision.call, decision.credential
    table = Table(show_header=False, pad_edge=False, box=None)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("request", Text(f"{outcome.method} {outcome.path[:200]}"))
    table.add_row("operation", call.operation if call else Text("not understood", style="red"))
    shown = "not verified" if credential is None else f"{credential.spiffe_id}, {credential.kind}"
    table.add_row("environment", shown if call else Text("not reached", style="dim"))
    for number, found in enumerate(_models_found(result)):
        value = str(found.value)[:_SHOWN_CHARS]
        text = Text.assemble((value, "cyan"), f"  {_what(found)} at ", (found.where, "bold"))
        table.add_row("names" if number == 0 else "", text)
    return table


def _models_found(result: DryRun) -> list[FoundValue]:
    examined = result.examined
    if examined is None:
        return []
    return [one for one in examined.found if one.role not in _NOT_TOLD and one.value is not None]


def _what(found: FoundValue) -> str:
    role = found.role.role if isinstance(found.role, AllowedValues) else found.role
    return role.kind if isinstance(role, Stored | Owned | Input) else role.value


def _first_ending(decision: Decision) -> Ending | None:
    """Return what ends first of all that was relied on, the credential included: it is real."""
    if not decision.allowed or decision.assessment is None:
        return None
    return min(decision.assessment.endings, default=None)


def _until(decision: Decision) -> Text:
    """Return when admission ends first, and how long the gate reuses this answer until then."""
    if decision.assessment is None:
        return Text("admitted", style="bold green")
    text = assessment_view.until(decision.assessment, "admitted", ends=_first_ending(decision))
    if decision.lease_until is not None:
        until = rfc3339(decision.lease_until.replace(microsecond=0))
        text.append(f"\nthe gate reuses this answer until {until}", style="dim")
    return text


def _verdict(decision: Decision) -> Text:
    if decision.allowed:
        warnings = [f"  {one.code} warns: {one.message}" for one in decision.warnings]
        text = _until(decision)
        return text.append("".join(f"\n{line}" for line in warnings))
    status = http_status(decision.reason)
    return Text.assemble(
        (f"denied, {status}  ", "bold red"),
        (decision.reason.value, "red"),
        f"  {decision.detail}\n",
        ("→ " + remedy(decision.reason), "cyan"),
    )
