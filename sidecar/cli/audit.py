"""``admit audit``: a line of the decision log, and whether the evidence bears it out.

The call that the line names is assessed once more, at the line's own time, from the repositories
and evidence that a ``trust.yaml`` leads to: copies of that time, kept by whoever audits. Nothing is
written to the state folder, and no gate is asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sidecar.cli import assessment_view, refresh_status
from sidecar.cli.common import CliError, JsonOption, present
from sidecar.cli.long_work import progress
from sidecar.cli.tables import stdout
from sidecar.core.assess import assess
from sidecar.core.assessment import Assessment
from sidecar.core.reasons import Reason
from sidecar.core.snapshot import TrustState
from sidecar.core.window import parse_instant, rfc3339
from sidecar.formats.amounts import amount
from sidecar.impact.assumed import assumed_credential
from sidecar.impact.logged_calls import MAX_LINE_BYTES, use_of
from sidecar.impact.possible_calls import EnvironmentCall, uses
from sidecar.trust.config import TrustConfig, load
from sidecar.trust.load_once import load_as_of
from sidecar.trust.refresher import AuthorityStatus

MAX_SHOWN = 20
_COPIES = "copies of the repositories at the time of the decision"


@dataclass(frozen=True, slots=True)
class Audited:
    """A decision of the log and its assessment from the evidence.

    Attributes:
        line: Of the decision log.
        at: Its reference time.
        asked: What was assessed.
        assessment: At that time, from what was read.
        statuses: Of each authority, as it was read.
        facts: The line of the log of facts that the decision rests on; ``None`` if none was found.
        others: What else was admissible then; ``None`` if that was not asked.
    """

    line: Mapping[str, Any]
    at: datetime
    asked: EnvironmentCall
    assessment: Assessment
    statuses: tuple[AuthorityStatus, ...]
    facts: Mapping[str, Any] | None
    others: tuple[EnvironmentCall, ...] | None

    @property
    def compared(self) -> bool:
        """Whether the predicate decided it, or admitted what policies were asked about."""
        return self.line["outcome"] == "allow" or self.line["step"] is not None

    def differences(self) -> Iterator[str]:
        """Yield where the assessment differs from the line."""
        found, line = self.assessment, self.line
        if line["outcome"] == "deny":
            if found.reason != line["reason"]:
                yield f"was denied with {line['reason']}; assessed: {_outcome(found)}"
            return
        if not found.admissible:
            yield f"was allowed; assessed: {_outcome(found)}"
            return
        for name, now in (("manifests", found.manifests), ("constituents", found.constituents)):
            if sorted(line[name]) != sorted(now):
                yield f"{name} were {_names(line[name])}; assessed: {_names(now)}"
        facts = self.facts
        if facts is not None and not (facts["allowed"] and facts["revision"] == line["revision"]):
            yield f"the log of facts has {facts['reason']} under {facts['revision']}"

    def to_json(self) -> dict[str, Any]:
        """Return everything, for other programs."""
        differences = [*self.differences()] if self.compared else []
        return {
            "decision": dict(self.line),
            "agrees": not differences if self.compared else None,
            "differences": differences,
            "assessed": assessment_view.to_json(self.assessment, asked=_asked(self)),
            "authorities": refresh_status.to_json(self.statuses),
            "facts": None if self.facts is None else dict(self.facts),
            "others": None
            if self.others is None
            else [
                {
                    "environment": each.environment,
                    "models": list(each.models),
                    "operation": each.call.operation,
                }
                for each in self.others
            ],
        }


def audit(
    decision: Annotated[
        str, typer.Argument(help="The decision's id (x-admissibility-decision-id).")
    ],
    log: Annotated[
        list[Path], typer.Option("--log", help="A gate's decision log; repeatable, oldest first.")
    ],
    trust: Annotated[
        Path,
        typer.Option(
            "--trust",
            "-t",
            envvar="ADMIT_TRUST",
            help=f"The operator's trust.yaml, leading to {_COPIES}.",
        ),
    ] = Path("trust.yaml"),
    facts: Annotated[
        list[Path] | None,
        typer.Option(
            "--facts", help="A gate's facts log, for what the policies answered; repeatable."
        ),
    ] = None,
    others: Annotated[
        bool, typer.Option("--others", help="Also list every other call that was admissible then.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Assess a decision of the log once more, at its own time, and compare.

    Repositories hold what their authorities publish now; for what they published then, let
    trust.yaml lead to copies. Policies are not evaluated. Exit status 0 if the evidence bears the
    decision out, 1 if it does not, 2 if that cannot be said.

    Examples:
        admit audit 40bd3224ba9fcd23ac4db35a8f67cabf --log decisions.jsonl
            --trust archive/trust.yaml --facts facts.jsonl
    """
    found = audited(load(present(trust, "--trust")), decision, log, facts or [], others=others)
    if as_json:
        print(json.dumps(found.to_json(), indent=2))
    else:
        _show(stdout(), found)
    if not found.compared:
        raise typer.Exit(2)
    raise typer.Exit(1 if any(found.differences()) else 0)


def audited(
    config: TrustConfig, decision: str, logs: list[Path], facts: list[Path], *, others: bool
) -> Audited:
    """Find a decision and assess it at its time.

    Raises:
        CliError: A log cannot be read, or has no such decision, or a part of its call only.
    """
    line = _last_line(logs, decision)
    at = parse_instant(line["time"])
    if at > datetime.now(UTC):
        raise CliError(f"decision {decision}: its time, {line['time']}, is ahead")
    asked = use_of(line)
    if asked is None:
        raise CliError(
            f"decision {decision}: {line['reason']}: {line['detail']} (its line names no whole "
            "call to assess)"
        )
    with progress("verifying evidence") as advanced:
        state, statuses = load_as_of(config, at, advanced)
    return Audited(
        line,
        at,
        asked,
        _assess(asked, config, state, at),
        statuses,
        _facts_of(facts, line),
        _others(asked, config, state, at) if others else None,
    )


def _assess(
    asked: EnvironmentCall, config: TrustConfig, state: TrustState, at: datetime
) -> Assessment:
    credential = assumed_credential(config.operator, asked.environment, at)
    return assess(asked.call, credential, state, at)


def _others(
    asked: EnvironmentCall, config: TrustConfig, state: TrustState, at: datetime
) -> tuple[EnvironmentCall, ...]:
    """Return every other call that the evidence names and that was admissible."""
    return tuple(
        each
        for each in uses(state, None)
        if each != asked and _assess(each, config, state, at).admissible
    )


def _lines(paths: list[Path]) -> Iterator[Mapping[str, Any]]:
    """Yield the JSON objects of logs, line by line; other lines are left out.

    Raises:
        CliError: A log cannot be read.
    """
    for path in paths:
        try:
            with path.open("rb") as file:
                while line := file.readline(MAX_LINE_BYTES):
                    try:
                        value = json.loads(line)
                    except (ValueError, RecursionError):
                        continue
                    if isinstance(value, dict):
                        yield value
        except OSError as error:
            raise CliError(f"{path}: {error.strerror}") from error


def _last_line(logs: list[Path], decision: str) -> Mapping[str, Any]:
    """Return the line that counts: the last one of several with one id."""
    found = None
    for value in _lines(logs):
        if value.get("id") == decision and value.get("outcome") in {"allow", "deny"}:
            found = value
    if found is None:
        raise CliError(
            f"decision {decision}: not in {_names(map(str, logs))}; give the log of the gate that "
            "decided, rotated files too, with --log"
        )
    return found


def _facts_of(facts: list[Path], line: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what policies were asked: for the decision itself, or for the lease it was made from.

    A lease repeats the newest answer before it about the same call from the same environment.
    """
    same = None
    for value in _lines(facts):
        if value.get("id") == line["id"]:
            return value
        if _about(value) == _call_of(line) and str(value.get("time")) <= line["time"]:
            same = value
    return same if line["outcome"] == "allow" else None


def _about(value: Mapping[str, Any]) -> tuple[Any, ...]:
    request = value.get("facts", {}).get("request", {})
    environment = value.get("facts", {}).get("environment", {})
    return environment.get("id"), request.get("operation"), sorted(request.get("models", ()))


def _call_of(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return line["environment"], line["operation"], sorted(line["models"])


def _asked(found: Audited) -> dict[str, str]:
    return {
        "model": ", ".join(found.asked.call.named),
        "environment": found.asked.environment,
        "provider": found.asked.call.provider,
        "operation": found.asked.call.operation,
        "at": rfc3339(found.at),
    }


def _show(console: Console, found: Audited) -> None:
    line = found.line
    outcome = f"{line['outcome']}: {line['reason']}"
    console.print(f"{line['id']}  {line['time']}  {outcome}", markup=False, soft_wrap=True)
    if line["detail"] != line["reason"]:
        console.print(f"  {line['detail']}", markup=False, soft_wrap=True)
    if line["revision"]:
        console.print(f"  policies {line['revision']}", markup=False, soft_wrap=True)
    if found.facts is not None:
        lease = "" if found.facts["id"] == line["id"] else f", by lease of {found.facts['id']}"
        console.print(
            f"  they answered {found.facts['reason']}{lease}", markup=False, soft_wrap=True
        )
    console.print()
    console.print(assessment_view.steps_table(found.assessment, asked=_asked(found)))
    refresh_status.print_problems(console, found.statuses)
    console.print()
    if not found.compared:
        console.print(
            "The predicate did not decide this: the reason is one of the request, the policies or "
            f"the gate. Assessed: {_outcome(found.assessment)}",
            soft_wrap=True,
        )
    elif differences := [*found.differences()]:
        for each in differences:
            console.print(f"✗ {each}", style="red", markup=False, soft_wrap=True)
        console.print(f"  Does trust.yaml lead to {_COPIES}?", soft_wrap=True)
    else:
        console.print("✓ the evidence bears the decision out", style="green")
    _show_others(console, found.others)


def _show_others(console: Console, others: tuple[EnvironmentCall, ...] | None) -> None:
    if others is None:
        return
    console.print(
        f"{amount(len(others), 'other call')} admissible at that time; policies and operations "
        "that were not open are not asked",
        soft_wrap=True,
    )
    for each in others[:MAX_SHOWN]:
        named = ", ".join(each.models) or "no model"
        text = f"  {each.call.operation}  {named}  {each.environment}"
        console.print(text, markup=False, soft_wrap=True)
    if len(others) > MAX_SHOWN:
        console.print(f"  … and {len(others) - MAX_SHOWN} more (--json)")


def _outcome(found: Assessment) -> str:
    return found.reason or Reason.ADMITTED


def _names(values: Iterable[str]) -> str:
    return ", ".join(values) or "none"
