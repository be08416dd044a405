"""``python -m tests.bench.large``: what small calls notice while large requests pass.

Small calls are measured idle, and then while clients send each kind of large request (``loads``),
through the same Envoy and gate. The kinds take turns within each round, so that whatever else the
machine does falls on all of them. What is printed is the p99 of the small calls in each, its ratio
to the idle one, and how much passed meanwhile.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from admissibility_devtools.demo.show import StoryPrinter
from admissibility_devtools.demo.stage import Stage
from admissibility_devtools.tools.envoy_process import EnvoyProcess
from tests.bench import cpu, upstream
from tests.bench.loads import UPLOAD, Load, Senders, loads, posted, refused
from tests.bench.stand import gateway, question
from tests.bench.wrk import Measured, Question, VoidError, measure
from tests.support.sigterm import unwind_on_sigterm
from tests.support.site.stand import BoundStory

_ROOM = 1 << 20
"""For the form around a file."""

Seconds = Annotated[int, typer.Option(min=1, max=60, help="Length of one measurement.")]
Rounds = Annotated[int, typer.Option(min=1, max=20, help="Measurements of each kind.")]
Connections = Annotated[int, typer.Option(min=1, max=64, help="Small calls under way at a time.")]
Clients = Annotated[int, typer.Option(min=1, max=8, help="Large requests under way at a time.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON instead.")]


@dataclass(frozen=True, slots=True)
class One:
    """One measurement of the small calls.

    Attributes:
        small: Their times.
        mebibytes: What passed beside them in a second.
        late: Large requests for which the gate had not time enough.
        gate: Share of one processor that the gate took, without its readers.
    """

    small: Measured
    mebibytes: float = 0.0
    late: int = 0
    gate: float = 0.0


@dataclass(frozen=True, slots=True)
class Row:
    """Medians over the rounds; times in milliseconds."""

    name: str
    p50: float
    p99: float
    ratio_p99: float
    per_second: float
    mebibytes_per_second: float
    gate: float
    too_late: int

    @classmethod
    def of(cls, name: str, found: list[One], idle: list[One]) -> Row:
        """A row out of the measurements of one kind, and of the small calls alone."""
        p99 = median(one.small.p99 for one in found)
        return cls(
            name,
            p50=median(one.small.p50 for one in found),
            p99=p99,
            ratio_p99=p99 / median(one.small.p99 for one in idle),
            per_second=median(one.small.per_second for one in found),
            mebibytes_per_second=median(one.mebibytes for one in found),
            gate=median(one.gate for one in found),
            too_late=sum(one.late for one in found),
        )


@dataclass(frozen=True, slots=True)
class Roomy:
    """The demo's admitted state, with registration, behind an Envoy that takes large bodies."""

    envoy: EnvoyProcess
    small: Question
    gate: int
    folder: Path

    @property
    def credential(self) -> tuple[str, str]:
        """The header's name and its value."""
        return self.small.credential_header, self.small.credential

    def check(self) -> None:
        """See that batch files are read: one is refused for its last line.

        Raises:
            VoidError: It was not.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.envoy.port, timeout=60)
        with contextlib.closing(connection):
            status, text = posted(connection, refused(self.small), self.credential)
        if status != http.client.FORBIDDEN or "manifest_missing" not in text:
            raise VoidError(f"a batch file with an unbound model: {status} {text[:300]}")

    def run(self, load: Load | None, *, seconds: float, connections: int, clients: int) -> One:
        """Measure the small calls once, alone or beside ``load``.

        Raises:
            VoidError: A call failed, or a large request did.
        """
        parts = {"gate": self.gate}
        used = cpu.spent(parts)
        senders = None if load is None else Senders(self.envoy.port, self.credential, load, clients)
        with contextlib.nullcontext() if senders is None else senders.sending():
            measured = measure(
                self.envoy.url,
                self.small,
                connections=connections,
                seconds=seconds,
                folder=self.folder,
            )
            gate = (cpu.spent(parts)["gate"] - used["gate"]) / seconds
        if load is None or senders is None:
            return One(measured, gate=gate)
        mebibytes = senders.passed * len(load.body) / (1 << 20) / senders.seconds
        return One(measured, mebibytes, senders.late, gate)


def main(
    seconds: Seconds = 5,
    rounds: Rounds = 3,
    connections: Connections = 4,
    clients: Clients = 1,
    as_json: AsJson = False,
) -> None:
    """Measure small calls idle, and while large requests pass."""
    console = Console(stderr=as_json, highlight=False)
    console.print("bench: bringing up authorities, gate, OPA and Envoy", style="dim")
    load = os.getloadavg()[0]
    try:
        with tempfile.TemporaryDirectory(prefix="admit-bench-") as name, roomy(Path(name)) as stand:
            rows = _measure(
                stand, rounds, seconds=seconds, connections=connections, clients=clients
            )
    except VoidError as error:
        console.print(f"bench: the run is void: {error}", style="bold red")
        raise typer.Exit(1) from error
    if as_json:
        plain = {"load": load, "rows": [asdict(row) for row in rows]}
        print(json.dumps(plain, indent=2))  # noqa: T201
        return
    console.print(f"load average {load:.2f} before the run")
    console.print(_table(rows))


@contextlib.contextmanager
def roomy(folder: Path) -> Iterator[Roomy]:
    """Bring everything up in ``folder``, and down again.

    Raises:
        VoidError: Batch files are not read.
    """
    settings = {
        "open_operations": ["files.create"],
        "registration": {
            "folder": "registrations",
            "key": "registration.pem",
            "max_batch_bytes": UPLOAD + _ROOM,
        },
    }
    with contextlib.ExitStack() as stack:
        stage = stack.enter_context(Stage(folder / "stage", settings=settings))
        story = BoundStory(stage, StoryPrinter(quiet=True))
        story.prepare()
        key = f"sk-{secrets.token_hex(16)}"
        provider = stack.enter_context(
            EnvoyProcess(upstream.configuration(key, UPLOAD + _ROOM), folder / "provider")
        )
        text = gateway(stage, ("127.0.0.1", provider.port), key, name="registration")
        envoy = stack.enter_context(EnvoyProcess(text, folder / "envoy"))
        stand = Roomy(envoy, question(stage, story.model), stage.gate_pid(), folder)
        stand.check()
        yield stand


def _measure(stand: Roomy, rounds: int, **settings: Any) -> list[Row]:
    kinds: list[Load | None] = [None, *loads(stand.small)]
    found: list[list[One]] = [[] for _ in kinds]
    stand.run(None, **{**settings, "seconds": 1})
    for _ in range(rounds):
        for kind, ones in zip(kinds, found, strict=True):
            ones.append(stand.run(kind, **settings))
    names = ["idle" if kind is None else kind.name for kind in kinds]
    return [Row.of(name, ones, found[0]) for name, ones in zip(names, found, strict=True)]


def _table(rows: list[Row]) -> Table:
    table = Table(title="Small calls, in milliseconds, and what passes beside them", box=None)
    table.add_column("beside them")
    for name in ("p50", "p99", "ratio of p99", "calls/s", "MiB/s", "gate", "too late"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.p50:.1f}",
            f"{row.p99:.1f}",
            f"{row.ratio_p99:.2f}",
            f"{row.per_second:,.0f}",
            f"{row.mebibytes_per_second:.0f}",
            f"{row.gate:.0%}",
            str(row.too_late),
        )
    return table


if __name__ == "__main__":
    unwind_on_sigterm()
    typer.run(main)
