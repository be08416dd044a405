"""What a run found, as rows: medians over the rounds, ratios, and where the gate's time goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.stand import Way
from tests.bench.wrk import Measured

NAMES: dict[Way, str] = {
    "alone": "Envoy alone",
    "gate": "Envoy with the gate, each call decided afresh by OPA",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One way at one number of connections; times in milliseconds, medians over the rounds.

    Attributes:
        way: ``alone`` or ``gate``.
        connections: Calls under way at any time.
        per_second: Calls a second.
        p50: Median time of a call.
        p99: Time within which 99 of 100 calls were answered.
        requests: Calls in all rounds together; each was answered with 200.
        cpu: Part → microseconds of processor time per call.
    """

    way: Way
    connections: int
    per_second: float
    p50: float
    p99: float
    requests: int
    cpu: Mapping[str, float]

    @classmethod
    def of(cls, way: Way, connections: int, found: list[tuple[Measured, dict[str, float]]]) -> Row:
        """The median of all rounds; never of none."""
        rounds = [measured for measured, _ in found]
        return cls(
            way,
            connections,
            median(one.per_second for one in rounds),
            median(one.p50 for one in rounds),
            median(one.p99 for one in rounds),
            sum(one.requests for one in rounds),
            {part: median(costs[part] for _, costs in found) for part in found[0][1]},
        )


@dataclass(frozen=True, slots=True)
class Ratio:
    """The gate against Envoy alone at one number of connections.

    Attributes:
        connections: Calls under way at any time.
        per_second: Share of Envoy's calls a second that is left with the gate.
        added_p50: What the gate adds to the median time, milliseconds.
        added_p99: What it adds to the 99th percentile, milliseconds.
    """

    connections: int
    per_second: float
    added_p50: float
    added_p99: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the request path, over all calls of the run.

    ``microseconds`` is the mean by the gate's own histogram; it holds the waiting for other calls
    on the same event loop, which under load is most of the stages that wait at all.
    """

    name: str
    microseconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is printed."""

    host: Mapping[str, str]
    seconds: float
    rounds: int
    rows: tuple[Row, ...]
    stages: Mapping[int, tuple[Stage, ...]]

    @property
    def ratios(self) -> tuple[Ratio, ...]:
        """One for each number of connections."""
        found = {(row.way, row.connections): row for row in self.rows}
        return tuple(
            Ratio(
                connections,
                gate.per_second / found["alone", connections].per_second,
                gate.p50 - found["alone", connections].p50,
                gate.p99 - found["alone", connections].p99,
            )
            for (way, connections), gate in found.items()
            if way == "gate"
        )

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "host": dict(self.host),
            "seconds": self.seconds,
            "rounds": self.rounds,
            "rows": [asdict(row) for row in self.rows],
            "ratios": [asdict(ratio) for ratio in self.ratios],
            "stages": {str(n): [asdict(s) for s in stages] for n, stages in self.stages.items()},
        }

    def print(self, console: Console) -> None:
        """As tables."""
        told = " · ".join(f"{name} {value}" for name, value in self.host.items())
        console.print(told, style="dim")
        console.print(self._calls())
        for ratio in self.ratios:
            console.print(
                f"{ratio.connections:>3} connections: with the gate {100 * ratio.per_second:.0f} %"
                f" of the calls a second; {ratio.added_p50:+.2f} ms at the median,"
                f" {ratio.added_p99:+.2f} ms at p99"
            )
        console.print(self._costs())
        console.print(self._stages())

    def _calls(self) -> Table:
        title = f"Every call answered with 200; {self.rounds} × {self.seconds:.0f} s a row, medians"
        table = Table("", title=title, title_justify="left")
        for name in ("connections", "calls/s", "p50 ms", "p99 ms", "calls"):
            table.add_column(name, justify="right")
        for row in self.rows:
            table.add_row(
                NAMES[row.way],
                str(row.connections),
                f"{row.per_second:,.0f}",
                f"{row.p50:.2f}",
                f"{row.p99:.2f}",
                f"{row.requests:,}",
            )
        return table

    def _costs(self) -> Table:
        names = list(dict.fromkeys(part for row in self.rows for part in row.cpu))
        table = Table("", title="Processor time per call, µs", title_justify="left")
        for name in ("connections", *names, "together"):
            table.add_column(name, justify="right")
        for row in self.rows:
            cells = [f"{row.cpu[name]:,.0f}" if name in row.cpu else "" for name in names]
            whole = f"{sum(row.cpu.values()):,.0f}"
            table.add_row(NAMES[row.way], str(row.connections), *cells, whole)
        return table

    def _stages(self) -> Table:
        table = Table("stage", title="Where the gate's time goes, by its own histogram")
        table.title_justify = "left"
        for connections in self.stages:
            table.add_column(f"µs at {connections}", justify="right")
            table.add_column("share", justify="right")
        columns = [{stage.name: stage for stage in stages} for stages in self.stages.values()]
        for name in columns[0] if columns else ():
            cells = [
                cell
                for column in columns
                for cell in (f"{column[name].microseconds:,.0f}", f"{column[name].share:.0%}")
            ]
            table.add_row(name, *cells)
        return table


def stages_between(
    before: Mapping[str, tuple[float, int]], after: Mapping[str, tuple[float, int]]
) -> tuple[Stage, ...]:
    """Mean time of each stage between two readings of the histogram, ``total`` last.

    Args:
        before: Stage → (seconds, passages), as from ``Stand.stages``.
        after: The same, later.
    """
    spent = {
        name: (seconds - before[name][0], number - before[name][1])
        for name, (seconds, number) in after.items()
    }
    whole = spent["total"][0]
    order = sorted(spent, key=lambda name: name == "total")
    return tuple(
        Stage(name, 1e6 * spent[name][0] / spent[name][1], spent[name][0] / whole)
        for name in order
        if spent[name][1]
    )
