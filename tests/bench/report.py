"""What a run found, as rows: medians over the rounds, ratios, and the stages of a fresh gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.stand import Way
from tests.bench.wrk import Measured

NAMES: dict[Way, str] = {
    "alone": "Envoy alone",
    "constant": "constant-reply grpc.aio service",
    "leased": "the gate, with leases",
    "fresh": "the gate, each call asked of OPA",
    "plugin": "opa-envoy-plugin, allow all",
    "composite": "opa-envoy-plugin, four signatures in Rego",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One way at one number of connections; times in milliseconds, medians over the rounds.

    Attributes:
        way: One of ``NAMES``.
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
    """One way against another at one number of connections, in the same run.

    Attributes:
        way: What is compared.
        against: With what.
        connections: Calls under way at any time.
        per_second: Calls a second, as a multiple.
        p99: The 99th percentile of a call's time, as a multiple.
        cpu: Processor time per call of what Envoy asks, as a multiple; ``None`` where it asks
            nothing.
    """

    way: Way
    against: Way
    connections: int
    per_second: float
    p99: float
    cpu: float | None

    @classmethod
    def of(cls, row: Row, base: Row) -> Ratio:
        """Compare two rows of one number of connections."""
        asked, other = _asked(row), _asked(base)
        return cls(
            row.way,
            base.way,
            row.connections,
            row.per_second / base.per_second,
            row.p99 / base.p99,
            asked / other if asked and other else None,
        )


COMPARED: tuple[tuple[Way, Way], ...] = (
    ("constant", "alone"),
    ("leased", "constant"),
    ("fresh", "constant"),
    ("leased", "plugin"),
    ("leased", "composite"),
    ("fresh", "composite"),
)
_BESIDE = frozenset({"Envoy", "upstream"})


def _asked(row: Row) -> float:
    """Processor time per call of the parts beside Envoy and the upstream."""
    return sum(cost for part, cost in row.cpu.items() if part not in _BESIDE)


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
    memory: Mapping[Way, Mapping[str, float]] = field(default_factory=dict)

    @property
    def ratios(self) -> tuple[Ratio, ...]:
        """Every comparison whose two ways were measured."""
        found = {(row.way, row.connections): row for row in self.rows}
        numbers = dict.fromkeys(row.connections for row in self.rows)
        return tuple(
            Ratio.of(found[way, number], found[against, number])
            for number in numbers
            for way, against in COMPARED
            if (way, number) in found and (against, number) in found
        )

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "host": dict(self.host),
            "seconds": self.seconds,
            "rounds": self.rounds,
            "rows": [asdict(row) for row in self.rows],
            "ratios": [asdict(ratio) for ratio in self.ratios],
            "memory_mib": {way: dict(parts) for way, parts in self.memory.items()},
            "stages": {str(n): [asdict(s) for s in stages] for n, stages in self.stages.items()},
        }

    def print(self, console: Console) -> None:
        """As tables."""
        told = " · ".join(f"{name} {value}" for name, value in self.host.items())
        console.print(told, style="dim")
        console.print(self._calls())
        console.print(self._compared())
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

    def _compared(self) -> Table:
        title = "Side by side, as multiples; processor time of what Envoy asks"
        table = Table("", "against", title=title, title_justify="left")
        for name in ("connections", "calls/s", "p99", "processor time"):
            table.add_column(name, justify="right")
        for ratio in self.ratios:
            table.add_row(
                NAMES[ratio.way],
                NAMES[ratio.against],
                str(ratio.connections),
                f"{ratio.per_second:.2f}",
                f"{ratio.p99:.2f}",
                "" if ratio.cpu is None else f"{ratio.cpu:.2f}",
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
        table = Table(
            "stage", title="Where the time of a gate without leases goes, by its own histogram"
        )
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
