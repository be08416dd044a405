"""Prints the impact of a withdrawal, as tables for people and as JSON for programs."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from sidecar.cli.tables import show_table
from sidecar.core.window import rfc3339
from sidecar.formats.amounts import amount
from sidecar.impact.compare import Impact, Stop
from sidecar.impact.logged_calls import CallCount, LoggedCalls
from sidecar.trust.refresher import AuthorityStatus

NO_MODEL = "(calls that name no model)"


def to_json(found: Impact, statuses: tuple[AuthorityStatus, ...] = ()) -> dict[str, Any]:
    """Return the impact as JSON values; ``callers`` and ``log`` are null where no log was read."""
    seen = found.seen
    return {
        "authority": found.authority,
        "kind": found.entry.kind.value,
        "subject": found.entry.subject,
        "at": rfc3339(found.at),
        "granted": found.granted,
        "published": found.published,
        "assessed": found.assessed,
        "admissible": found.admissible,
        "stopped": found.stopped,
        "denied": dict(found.denied),
        "models": list(found.models),
        "environments": list(found.environments),
        "jurisdictions": list(found.jurisdictions),
        "callers": None
        if seen is None
        else [{"environment": name, **_count(one)} for name, one in found.callers.items()],
        "stops": [_stop(stop) for stop in found.stops],
        "log": None if seen is None else _log(seen),
        "problems": {each.name: each.error for each in statuses if each.error is not None},
    }


def _stop(stop: Stop) -> dict[str, Any]:
    return {
        "models": list(stop.models),
        "environment": stop.environment,
        "operations": list(stop.operations),
        "jurisdictions": list(stop.jurisdictions),
        "reason": stop.reason,
        "detail": stop.detail,
        "seen": None if stop.seen is None else _count(stop.seen),
    }


def _count(count: CallCount) -> dict[str, Any]:
    return {"calls": count.calls, "first": rfc3339(count.first), "last": rfc3339(count.last)}


def _log(seen: LoggedCalls) -> dict[str, Any]:
    return {
        "since": rfc3339(seen.since),
        "files": seen.files,
        "decisions": seen.decisions,
        "older": seen.older,
        "other_lines": seen.others,
        "incomplete": seen.incomplete,
    }


def show(console: Console, found: Impact) -> None:
    """Print a summary, the models and environments that stop, the callers, and what is unknown."""
    console.print(_summary(found), soft_wrap=True)
    if found.stops:
        headings = ("model", "environment", "jurisdictions", "operations", "reason")
        rows = [
            (
                ", ".join(stop.models) or NO_MODEL,
                stop.environment,
                ", ".join(stop.jurisdictions),
                ", ".join(stop.operations),
                stop.reason,
            )
            for stop in found.stops
        ]
        console.print()
        show_table(console, headings, rows)
    if found.callers:
        console.print()
        callers = [
            (name, str(one.calls), rfc3339(one.first), rfc3339(one.last))
            for name, one in found.callers.items()
        ]
        show_table(console, ("caller", "calls", "first", "last"), callers)
    notes = _notes(found)
    if notes:
        console.print()
    for note in notes:
        console.print(f"! {note}", style="yellow", markup=False, soft_wrap=True)


def _summary(found: Impact) -> Text:
    what = f"{found.entry.kind} {found.entry.subject}, withdrawn by {found.authority}: "
    if not found.stops:
        return Text.assemble(what, ("nothing would stop", "bold green"), _of(found))
    models, environments = len(found.models), len(found.environments)
    text = f"{amount(models, 'model')} would stop in {amount(environments, 'environment')}"
    if not models:
        text = f"calls would stop in {amount(environments, 'environment')}"
    where = ", ".join(found.jurisdictions)
    return Text.assemble(what, (text, "bold red"), f" ({where})" if where else "", _of(found))


def _of(found: Impact) -> str:
    return f"; of {found.admissible} calls that are admissible now, {found.stopped} would be denied"


def _notes(found: Impact) -> list[str]:
    notes = []
    if not found.granted:
        notes.append(f"{found.authority} has no grant: none of its withdrawals counts here")
    if found.published:
        notes.append("it is published already: what it stops is denied already")
    if not found.admissible:
        reasons = ", ".join(f"{name} {number}" for name, number in found.denied.items())
        notes.append(f"no call is admissible now ({reasons or 'nothing is declared'})")
    seen = found.seen
    if seen is None:
        notes.append("callers are not counted: give a gate's decision log with --log")
        return notes
    if not seen.decisions:
        notes.append(f"the decision logs have no decision since {rfc3339(seen.since)}")
    if seen.incomplete:
        notes.append(f"{amount(seen.incomplete, 'admitted call')} not counted: the line is cut")
    if seen.others:
        notes.append(
            amount(
                seen.others, "line of the logs is no decision", "lines of the logs are no decisions"
            )
        )
    return notes
