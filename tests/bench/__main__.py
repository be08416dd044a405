"""``python -m tests.bench``: measure, and print tables or JSON.

The ways take turns within each round, so that whatever else the machine does falls on all of them.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from admissibility_devtools.demo.gate_process import StageError
from sidecar.opa.errors import ProgramError
from tests.bench import host
from tests.bench.report import Report, Row, Stage, stages_between
from tests.bench.stand import WAYS, Stand, Way, standing
from tests.bench.wrk import Measured, VoidError

CONNECTIONS = (1, 32)
WARM_UP_SECONDS = 1.0

Seconds = Annotated[int, typer.Option(min=1, max=60, help="Length of one measurement.")]
Rounds = Annotated[int, typer.Option(min=1, max=20, help="Measurements for each row.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON instead.")]


def main(seconds: Seconds = 5, rounds: Rounds = 3, as_json: AsJson = False) -> None:
    """Measure real Envoy alone and with the real gate, side by side, on this machine."""
    console = Console(stderr=as_json, highlight=False)
    if shutil.which("wrk") is None:
        _fail(console, "wrk is not on PATH; install it (Debian: apt-get install wrk)")
    facts = host.facts()
    console.print("bench: bringing up authorities, gate, OPA and three Envoys", style="dim")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="admit-bench-") as folder,
            standing(Path(folder) / "stage") as stand,
        ):
            report = _measure(stand, facts, float(seconds), rounds, console)
    except VoidError as error:
        _fail(console, f"the run is void: {error}")
    except (StageError, ProgramError) as error:
        _fail(console, str(error))
    if as_json:
        print(json.dumps(report.plain(), indent=2))  # noqa: T201
    else:
        report.print(console)


def _measure(
    stand: Stand, facts: dict[str, str], seconds: float, rounds: int, console: Console
) -> Report:
    for way in WAYS:
        stand.run(way, connections=max(CONNECTIONS), seconds=WARM_UP_SECONDS)
    found: dict[tuple[Way, int], list[tuple[Measured, dict[str, float]]]] = {}
    stages: dict[int, tuple[Stage, ...]] = {}
    for number in range(1, rounds + 1):
        for connections in CONNECTIONS:
            for way in WAYS:
                before = stand.stages()
                one = stand.run(way, connections=connections, seconds=seconds)
                found.setdefault((way, connections), []).append(one)
                if way == "gate":
                    stages[connections] = stages_between(before, stand.stages())
                console.print(
                    f"bench: round {number}/{rounds}, {connections:>2} connections, {way:<5}"
                    f" {one[0].per_second:>9,.0f} calls/s",
                    style="dim",
                )
    rows = tuple(Row.of(way, number, many) for (way, number), many in found.items())
    return Report(facts, seconds, rounds, rows, stages)


def _fail(console: Console, why: str) -> None:
    console.print(f"bench: {why}", style="bold red")
    raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
