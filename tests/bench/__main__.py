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
from tests.bench import chart, host
from tests.bench.report import Report, Row, Stage, stages_between
from tests.bench.stand import Stand, Way, standing
from tests.bench.wrk import Measured, VoidError
from tests.support.sigterm import unwind_on_sigterm

CONNECTIONS = (1, 32)
WARM_UP_SECONDS = 1.0

Seconds = Annotated[int, typer.Option(min=1, max=60, help="Length of one measurement.")]
Rounds = Annotated[int, typer.Option(min=1, max=20, help="Measurements for each row.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Processes of a gate that answer Envoy.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON instead.")]
Into = Annotated[Path | None, typer.Option("--into", help="A folder for calls.json and calls.svg.")]


def main(
    seconds: Seconds = 5,
    rounds: Rounds = 3,
    workers: Workers = 1,
    as_json: AsJson = False,
    into: Into = None,
) -> None:
    """Measure Envoy alone, the gate and what it is compared with, side by side, on this machine."""
    console = Console(stderr=as_json, highlight=False)
    if shutil.which("wrk") is None:
        _fail(console, "wrk is not on PATH; install it (Debian: apt-get install wrk)")
    facts = {**host.facts(), "workers": str(workers)}
    console.print(
        "bench: bringing up authorities, two gates, OPA and an Envoy for each way", style="dim"
    )
    try:
        with (
            tempfile.TemporaryDirectory(prefix="admit-bench-") as folder,
            standing(Path(folder) / "stage", workers) as stand,
        ):
            report = _measure(stand, facts, float(seconds), rounds, console)
    except VoidError as error:
        _fail(console, f"the run is void: {error}")
    except (StageError, ProgramError) as error:
        _fail(console, str(error))
    if into is not None:
        into.mkdir(parents=True, exist_ok=True)
        (into / "calls.json").write_text(json.dumps(report.plain(), indent=2) + "\n")
        (into / "calls.svg").write_text(chart.svg(report, max(CONNECTIONS)))
    if as_json:
        print(json.dumps(report.plain(), indent=2))  # noqa: T201
    else:
        report.print(console)


def _measure(
    stand: Stand, facts: dict[str, str], seconds: float, rounds: int, console: Console
) -> Report:
    for way in stand.ways:
        stand.run(way, connections=max(CONNECTIONS), seconds=WARM_UP_SECONDS)
    found: dict[tuple[Way, int], list[tuple[Measured, dict[str, float]]]] = {}
    stages: dict[int, tuple[Stage, ...]] = {}
    for number in range(1, rounds + 1):
        for connections in CONNECTIONS:
            for way in stand.ways:
                before = stand.stages(way)
                one = stand.run(way, connections=connections, seconds=seconds)
                found.setdefault((way, connections), []).append(one)
                if way == "fresh":
                    stages[connections] = stages_between(before, stand.stages(way))
                console.print(
                    f"bench: round {number}/{rounds}, {connections:>2} connections, {way:<9}"
                    f" {one[0].per_second:>9,.0f} calls/s",
                    style="dim",
                )
    rows = tuple(Row.of(way, number, many) for (way, number), many in found.items())
    memory = {way: stand.memory(way) for way in stand.ways}
    return Report(facts, seconds, rounds, rows, stages, memory)


def _fail(console: Console, why: str) -> None:
    console.print(f"bench: {why}", style="bold red")
    raise typer.Exit(1)


if __name__ == "__main__":
    unwind_on_sigterm()
    typer.run(main)
