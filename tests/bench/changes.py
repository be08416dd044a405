"""``python -m tests.bench.changes``: how long a published change takes until it is in force.

A gate of several processes runs with a regulator that publishes one withdrawal after another, of
models that nobody calls, while ``wrk`` calls an admitted one. The time of one change is from when
its ``timestamp.json`` was in place (its rename, or the end of the publication to NATS)
until the process that reads the state as a worker does has it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import quantiles
from typing import Annotated, Literal

import typer
import yaml
from rich.console import Console
from rich.table import Table

from admissibility_devtools.demo.authorities import REGULATOR, now
from admissibility_devtools.demo.show import StoryPrinter
from admissibility_devtools.demo.stage import Stage
from admissibility_devtools.demo.story import Story
from admissibility_devtools.tools.envoy_process import EnvoyProcess
from sidecar.authority import withdrawing
from sidecar.authority.open_home import Home
from sidecar.authority.publishing import publish_repository
from sidecar.core.documents import WithdrawalKind
from sidecar.destinations.nats_bucket import NatsDestination
from sidecar.trust.followed_store import FollowedStore, NotInForceError
from tests.bench import upstream
from tests.bench.stand import gateway, question, story_settings
from tests.bench.wrk import Question, VoidError, measure
from tests.support.nats_server import nats_server
from tests.support.sigterm import unwind_on_sigterm

SourceName = Literal["directory", "nats"]
_LOOK_SECONDS = 0.0005
_PATIENCE_SECONDS = 30.0
_SLICE_SECONDS = 2.0

Changes = Annotated[int, typer.Option(min=10, help="Withdrawals that are published.")]
Workers = Annotated[int, typer.Option(min=2, help="Processes of the gate that answer Envoy.")]
Connections = Annotated[int, typer.Option(help="Calls under way meanwhile; 0 for none.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON instead.")]


@dataclass(frozen=True, slots=True)
class Row:
    """The changes of one source. Times in milliseconds."""

    source: SourceName
    changes: int
    connections: int
    p50: float
    p99: float
    longest: float
    load: float


def main(
    changes: Changes = 1_000,
    workers: Workers = 2,
    connections: Connections = 4,
    source: Annotated[list[str] | None, typer.Option(help="directory, nats; both if left")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure each source, without and with calls beside it."""
    console = Console(stderr=as_json, highlight=False)
    rows = []
    for name in ("directory", "nats"):
        if source and name not in source:
            continue
        for beside in sorted({0, connections}):
            rows.append(_measured(name, changes, workers, beside))
            console.print(
                f"{name}, {beside} calls beside it: p99 {rows[-1].p99:.0f} ms", style="dim"
            )
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))  # noqa: T201
        return
    table = Table(title="From published to in force", box=None)
    for title in ("source", "changes", "calls beside", "p50 ms", "p99 ms", "longest ms", "load"):
        table.add_column(title, justify="right")
    for row in rows:
        times = (f"{each:.0f}" for each in (row.p50, row.p99, row.longest))
        table.add_row(
            row.source, f"{row.changes:,}", str(row.connections), *times, f"{row.load:.1f}"
        )
    console.print(table)


def _measured(source: SourceName, changes: int, workers: int, connections: int) -> Row:
    with tempfile.TemporaryDirectory(prefix="admit-bench-") as folder, contextlib.ExitStack() as on:
        stage = on.enter_context(Stage(Path(folder) / "stage", settings=story_settings(workers)))
        story = Story(stage, StoryPrinter(quiet=True))
        story.prepare()
        home = stage.organisations.homes[REGULATOR]
        publish = on.enter_context(_over_nats(stage, home)) if source == "nats" else _written(home)
        followed = FollowedStore(_state_folder(stage))
        on.callback(followed.close)
        load = os.getloadavg()[0]
        if connections:
            on.enter_context(_called(stage, story.model, connections))
        taken = [_change(home, publish, followed, number) for number in range(changes)]
        cuts = quantiles(taken, n=100)
        return Row(source, changes, connections, cuts[49], cuts[98], max(taken), load)


def _change(
    home: Home, publish: Callable[[], float], followed: FollowedStore, number: int
) -> float:
    """Withdraw one more model; return the milliseconds until that is in force."""
    model = f"openai/ft:gpt-4o:nobody:bench:{number:06}"
    withdrawing.withdraw(home, WithdrawalKind.MODEL, model, "bench", None, now())
    began = publish()
    end = time.monotonic() + _PATIENCE_SECONDS
    while not _withdrawn(followed, home.name, model):
        if time.monotonic() > end:
            raise VoidError(f"withdrawal {number} was not in force after {_PATIENCE_SECONDS:.0f} s")
        time.sleep(_LOOK_SECONDS)
    return max(0.0, time.time() - began) * 1e3


def _withdrawn(followed: FollowedStore, name: str, model: str) -> bool:
    with contextlib.suppress(NotInForceError):
        index = followed.current().withdrawals.get(name)
        return index is not None and (WithdrawalKind.MODEL, model) in index.exact
    return False


def _written(home: Home) -> Callable[[], float]:
    """The gate follows the home's own folder."""
    timestamp = home.repository / "metadata/timestamp.json"
    return lambda: timestamp.stat().st_ctime  # of the rename


@contextlib.contextmanager
def _over_nats(stage: Stage, home: Home) -> Iterator[Callable[[], float]]:
    with nats_server(stage.folder) as server:
        to = NatsDestination(server.config("authority"))

        def publish() -> float:
            publish_repository(home, to)
            return time.time()

        publish()
        path = stage.folder / "trust.yaml"
        trust = yaml.safe_load(path.read_text(encoding="utf-8"))
        (entry,) = (each for each in trust["authorities"] if each["name"] == home.name)
        entry["source"] = {"url": server.url("authority")}
        path.write_text(yaml.safe_dump(trust), encoding="utf-8")
        stage.restart_gate()
        yield publish


def _state_folder(stage: Stage) -> Path:
    trust = yaml.safe_load((stage.folder / "trust.yaml").read_text(encoding="utf-8"))
    return (stage.folder / str(trust["state"])).resolve()


@contextlib.contextmanager
def _called(stage: Stage, model: str, connections: int) -> Iterator[None]:
    """Call the admitted model all the time; raises ``VoidError`` at the end if a call failed."""
    key = f"sk-{secrets.token_hex(16)}"
    ended, failures = threading.Event(), list[VoidError]()
    with contextlib.ExitStack() as on:
        provider = on.enter_context(
            EnvoyProcess(upstream.configuration(key), stage.folder / "bench-provider")
        )
        config = gateway(stage, ("127.0.0.1", provider.port), key)
        envoy = on.enter_context(EnvoyProcess(config, stage.folder / "bench-gateway"))
        asked = question(stage, model)

        def call(question: Question) -> None:
            while not ended.is_set():
                try:
                    measure(
                        envoy.url,
                        question,
                        connections=connections,
                        seconds=_SLICE_SECONDS,
                        folder=stage.folder,
                    )
                except VoidError as error:
                    failures.append(error)
                    return

        calls = threading.Thread(target=call, args=(asked,))
        calls.start()
        try:
            yield
        finally:
            ended.set()
            calls.join()
    if failures:
        raise failures[0]


if __name__ == "__main__":
    unwind_on_sigterm()
    typer.run(main)
