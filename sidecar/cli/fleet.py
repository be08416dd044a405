"""``admit fleet``: what each gate of an operator has in force, by its signed status."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import requests
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from sidecar.cli import common
from sidecar.cli.common import CliError, JsonOption
from sidecar.cli.plain_console import PlainConsole
from sidecar.cli.tables import fitted, show_table, stdout
from sidecar.core.window import rfc3339
from sidecar.durable.files import write_atomically
from sidecar.fleet import fleet_file
from sidecar.fleet.fleet_file import PinnedGate
from sidecar.fleet.metrics import FleetMetrics
from sidecar.fleet.reading import GateReading, PublishedEdition, fetched, read_fleet
from sidecar.fleet.statement import AuthorityInForce, first_seen
from sidecar.fleet.watch import AGAIN_SECONDS, FleetWatch

FleetOption = Annotated[
    Path,
    typer.Option("--fleet", envvar="ADMIT_FLEET", help="The gates, each with its pinned key."),
]
DEFAULT_FLEET = Path("fleet.yaml")
MAX_ROWS = 100
"""Of a larger fleet, ``wait_in_force`` ends with those gates alone that lack what it waited for."""


def fleet(
    path: FleetOption = DEFAULT_FLEET,
    pin: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=URL|FILE",
            help="Add a gate to the fleet and pin the key that its status names now: compare the "
            "fingerprint with the gate's own. The URL is its /status/signed.",
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it until interrupted.")] = False,
    metrics: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write what the statuses prove, for the textfile collector of Prometheus's "
            "node_exporter: FILE.prom in its folder.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each gate has in force, by statuses signed with the pinned keys.

    Exit status 0 if every gate is ready and its status is current, 1 if not, 2 if the fleet cannot
    be read.

    Examples:
        admit fleet --pin eu-1=http://10.0.0.1:9464/status/signed
        admit fleet --watch
    """
    if pin is not None:
        _pin(path, pin, as_json=as_json)
        return
    gates = fleet_file.load(path)
    if watch and not as_json:
        _watched(gates, metrics)
        return
    found = _read(gates, metrics)
    if as_json:
        print(json.dumps([reading_json(each) for each in found], indent=2))
    else:
        show_table(stdout(), _HEADINGS, _rows(found))
        stdout().print(_common(found))
    raise typer.Exit(0 if all(_well(each) for each in found) else 1)


def wait_in_force(
    path: Path,
    authority: str,
    version: int,
    published: Callable[[], str | None],
    timeout: float,
    *,
    quiet: bool,
) -> list[dict[str, Any]]:
    """Wait until every gate has withdrawals of an authority in force, or the time is over.

    Args:
        path: ``fleet.yaml``.
        authority: By its name.
        version: Of its TUF timestamp, as published.
        published: Returns the digest of the ``withdrawals.json`` that is published with them now;
            asked again where a gate has another one, which may be a later one.
        timeout: In seconds.
        quiet: Print nothing.

    Returns:
        One JSON object for each gate; ``in_force`` states whether it has them.

    Raises:
        FleetError: The fleet cannot be read.
    """
    gates, until = fleet_file.load(path), time.monotonic() + timeout
    last: dict[PinnedGate, GateReading] = {}
    edition = _later(PublishedEdition(authority, version, frozenset()), published)
    console = PlainConsole(stderr=True, highlight=False)
    live = Live(console=console, auto_refresh=False, transient=True)
    with live, FleetWatch(gates) as watch:
        while True:
            found = watch.read(max(0.05, min(AGAIN_SECONDS, until - time.monotonic())))
            if any(each.differs(edition) for each in found):
                edition = _later(edition, published)
            last.update((each.gate, each) for each in found)
            for each in found:
                if each.in_force(edition):
                    watch.leave(each.gate)
            rows = [_waiting(gate, last.get(gate), edition) for gate in gates]
            left = until - time.monotonic()
            if not quiet and console.is_terminal:
                live.update(_progress(rows, left, console), refresh=True)
            if len(last) == len(gates) and (left <= 0 or all(row[1] == _YES for row in rows)):
                break
    if not quiet:
        _show_end(rows)
    return [
        {**reading_json(last[gate]), "in_force": last[gate].in_force(edition)} for gate in gates
    ]


def _progress(rows: list[tuple[str, ...]], left: float, console: Console) -> Group:
    """Return what fits the screen while one waits, with the gates first that lack it."""
    lacking = [row for row in rows if row[1] != _YES]
    there = [row for row in rows if row[1] == _YES]
    fits = len(rows) + 3 <= console.height
    table = fitted(_WAITING, rows if fits else lacking + there, console.width, console.height - 2)
    text = f"{len(there):,} of {len(rows):,} have it in force; waiting, {max(0.0, left):.0f} s left"
    return Group(table, Text(text, "dim"))


def _show_end(rows: list[tuple[str, ...]]) -> None:
    """Show which gates have it; of a large fleet, those alone that lack it."""
    if len(rows) <= MAX_ROWS:
        show_table(stdout(), _WAITING, rows)
        return
    lacking = [row for row in rows if row[1] != _YES]
    if lacking:
        show_table(stdout(), _WAITING, lacking)
    stdout().print(f"{len(rows) - len(lacking):,} of {len(rows):,} gates have it in force")


def _later(edition: PublishedEdition, published: Callable[[], str | None]) -> PublishedEdition:
    """Add the digest of what is published now."""
    digest = published()
    added = edition.withdrawals if digest is None else edition.withdrawals | {digest}
    return replace(edition, withdrawals=added)


def reading_json(found: GateReading) -> dict[str, Any]:
    """Return one gate's status as JSON values; ``status`` is null where none was read."""
    statement = found.statement
    return {
        "name": found.gate.name,
        "key": found.gate.key.fingerprint,
        "read": rfc3339(found.at),
        "proven": found.proven,
        "problem": found.problem or None,
        "status": None
        if statement is None
        else statement.model_dump(mode="json", exclude={"public_key", "nonce", "type"}),
    }


_HEADINGS = ("gate", "state", "epoch", "problem")
_WAITING = ("gate", "in force", "version", "problem")
_YES, _READY = "yes", "ready"


def _rows(found: tuple[GateReading, ...]) -> list[tuple[str, ...]]:
    """Return a row for each gate; what it has otherwise than the others is named as a problem."""
    rows: list[tuple[str, ...]] = []
    newest, release, revision = _newest(found), *_most(found)
    split = _split(found)
    for each in found:
        one = each.statement
        if one is None:
            rows.append((each.gate.name, "unknown", "", each.problem))
            continue
        problems = [each.problem, one.clock_problem]
        problems += [
            f"has {a.name} {a.version}, not {newest[a.name]}"
            for a in one.authorities
            if a.version < newest[a.name]
        ]
        problems += [
            f"has other withdrawals of {a.name} {a.version} than another gate"
            for a in one.authorities
            if (a.name, a.version) in split
        ]
        problems.append("" if one.release == release else f"release {one.release}")
        problems.append("" if one.revision == revision else f"policies {one.revision}")
        state = _READY if one.ready else "NOT READY"
        rows.append((each.gate.name, state, str(one.epoch), "; ".join(filter(None, problems))))
    return rows


def _common(found: tuple[GateReading, ...]) -> Text:
    """Return what the gates have, but for those whose row states something else."""
    release, revision = _most(found)
    newest = ", ".join(f"{name} {version}" for name, version in sorted(_newest(found).items()))
    ready = sum(each.statement is not None and each.statement.ready for each in found)
    return Text(
        f"\ngates    {ready:,} of {len(found):,} ready\nrelease  {release}\n"
        f"policies {revision}\nnewest   {newest}",
        overflow="fold",
    )


def _newest(found: tuple[GateReading, ...]) -> dict[str, int]:
    """Return the newest version of each authority that some gate has."""
    newest: dict[str, int] = {}
    for one in filter(None, (each.statement for each in found)):
        for each in one.authorities:
            newest[each.name] = max(each.version, newest.get(each.name, 0))
    return newest


def _split(found: tuple[GateReading, ...]) -> set[tuple[str, int]]:
    """Return the authorities' versions of which gates have different contents."""
    contents: dict[tuple[str, int], set[str]] = defaultdict(set)
    for one in filter(None, (each.statement for each in found)):
        for each in one.authorities:
            if each.withdrawals:
                contents[each.name, each.version].add(each.withdrawals)
    return {of for of, digests in contents.items() if len(digests) > 1}


def _most(found: tuple[GateReading, ...]) -> tuple[str, str]:
    """Return the release and the policies that most gates have."""
    known = [each.statement for each in found if each.statement is not None]
    releases, revisions = Counter(e.release for e in known), Counter(e.revision for e in known)
    return max(releases, key=releases.__getitem__, default=""), max(
        revisions, key=revisions.__getitem__, default=""
    )


def _waiting(
    gate: PinnedGate, each: GateReading | None, edition: PublishedEdition
) -> tuple[str, ...]:
    if each is None:
        return gate.name, "NO", "", "it was not read yet"
    held = None if each.statement is None else each.statement.of(edition.authority)
    within = each.in_force(edition)
    problem = each.problem
    if each.statement is not None and held is None:
        problem = f"does not follow {edition.authority}"
    elif held is not None and not within:
        problem = "; ".join(filter(None, (problem, _missing(each, held, edition))))
    version = "" if held is None else str(held.version)
    return gate.name, _YES if within else "NO", version, problem


def _missing(each: GateReading, held: AuthorityInForce, edition: PublishedEdition) -> str:
    """Return what a gate lacks that follows the authority."""
    if not each.differs(edition):
        return f"{edition.version} is published"
    if not held.withdrawals:
        return "its release does not state which withdrawals it has"
    return (
        f"has other withdrawals of {edition.authority} than are published: compare the root in "
        "its trust.yaml, and its source"
    )


def _well(each: GateReading) -> bool:
    return each.answers and each.statement is not None and each.statement.ready


def _read(gates: tuple[PinnedGate, ...], metrics: Path | None) -> tuple[GateReading, ...]:
    """Read every gate's status, and write the metrics where that is asked for."""
    found = read_fleet(gates)
    if metrics is not None:
        _write_metrics(metrics, found)
    return found


def _write_metrics(path: Path, found: tuple[GateReading, ...]) -> None:
    write_atomically(path, FleetMetrics(common.now(), found).render(), mode=0o644)


def _watched(gates: tuple[PinnedGate, ...], metrics: Path | None) -> None:
    """Show the fleet until interrupted; where it is larger than the screen, what is wrong first."""
    console = stdout()
    last: dict[PinnedGate, GateReading] = {}
    with Live(console=console, auto_refresh=False) as live, FleetWatch(gates) as watch:
        while True:
            last.update((each.gate, each) for each in watch.read(AGAIN_SECONDS))
            found = tuple(last[gate] for gate in gates if gate in last)
            if metrics is not None and len(found) == len(gates):
                _write_metrics(metrics, found)
            below, rows = _common(found), _rows(found)
            room = console.height - below.plain.count("\n") - 2
            if len(rows) + 1 > room:
                rows.sort(key=lambda row: row[1] == _READY and not row[-1])
            live.update(Group(fitted(_HEADINGS, rows, console.width, room), below), refresh=True)


def _pin(path: Path, text: str, *, as_json: bool) -> None:
    name, equals, place = text.partition("=")
    if not (name and equals and place):
        raise CliError(f"--pin: {text!r} is not NAME=URL or NAME=FILE")
    url = place.startswith(("http://", "https://"))
    try:
        statement, key = first_seen(fetched(place))
    except (OSError, requests.RequestException) as error:
        raise CliError(f"--pin: {place}: no status ({type(error).__name__})") from error
    status = place if url else str(Path(place).absolute())
    fleet_file.pin(path, PinnedGate(name, key, status))
    if as_json:
        print(json.dumps({"name": name, "key": key.fingerprint, "gate": statement.gate}))
    else:
        print(f"pinned {name} (gate {statement.gate}): {key.fingerprint}", file=sys.stdout)
