"""``python -m tests.bench.size``: what the verified state costs as it grows.

For each size, with real keys: how fast evidence is verified and stored, against what
``cryptography`` alone verifies in the same processor time; what one change takes until its state is
published; how long a restart takes until the state can be read; what a process that only reads
holds in memory, and what the predicate costs it for a few models again and again, and for any
model. The evidence is in a real folder, and read, verified and stored as the control path does it;
authorities' views are posted without TUF. All but a change is measured in processor time (of every
process that takes part), so that what else the machine does is left out.

``--data FOLDER`` keeps what was signed, for the next run of the same size.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sidecar.core import dsse
from sidecar.core.assess import assess
from sidecar.core.call import Call
from sidecar.core.snapshot import AuthorityView, TrustState
from sidecar.core.trust_state import VerifiedState, public_keys
from sidecar.trust import verified_store, view_records
from sidecar.trust.assembler import Assembler
from sidecar.trust.durable_state import DurableState
from sidecar.trust.evidence_folder import EvidenceFolder
from sidecar.trust.evidence_verifier import EvidenceVerifier
from sidecar.trust.verified_store import VerifiedStore
from tests.bench import host
from tests.support.sigterm import unwind_on_sigterm
from tests.support.simulator.constants import NOW, OPERATION
from tests.support.simulator.many import STATEMENTS, declared_world, statements
from tests.support.simulator.world import World, credential

SIZES = "10,1000"
CHANGES = 200
_PER_FOLDER = 1_000
_ROOM = 1 << 26

_HOT = 10
_FILLING = 20_000
"""Models whose evidence fills a reader's cache."""
_ASKED = 2_000

Sizes = Annotated[str, typer.Option(help="Numbers of manifests, separated by commas.")]
Changes = Annotated[int, typer.Option(min=10, help="Single changes that are timed.")]
Data = Annotated[Path | None, typer.Option(help="Keeps the signed evidence of each size.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON instead.")]


@dataclass(frozen=True, slots=True)
class Row:
    """One size. Times in the unit of the name.

    Attributes:
        manifests: The size; each has five envelopes.
        raw_us: Processor time in which ``cryptography`` alone verifies one signature.
        load_us: Processor time of a first load for one envelope, of all processes.
        writer_us: The part of it in the process that writes, which has one core.
        change_p50_ms: From handing a file over until its state is published.
        change_p99_ms: As above.
        restart_seconds: Processor time until the state is published and each file was looked at.
        anonymous_mib: Memory of a process that read every model, and what it began with.
        hot_us: Processor time of the predicate, for ten models in turn.
        cold_us: The same for models at random.
        store_mib: Size of the store.
    """

    manifests: int
    raw_us: float
    load_us: float
    writer_us: float
    change_p50_ms: float
    change_p99_ms: float
    restart_seconds: float
    anonymous_mib: float
    hot_us: float
    cold_us: float
    store_mib: float

    @property
    def ratio(self) -> float:
        """Speed of the first load as a share of ``cryptography`` alone, in processor time."""
        return self.raw_us / self.load_us


class Running:
    """The control path without TUF: a folder, the verifier, the durable state."""

    def __init__(self, world: World, state: Path, evidence: Path) -> None:
        self.published = threading.Condition()
        self.state: TrustState | None = None
        self.durable = DurableState(state, world.operator())
        first = self.durable.first_state()
        self.views = first.views
        self.assembler = Assembler(self.durable, first, self._publish)
        self.verifier = EvidenceVerifier(self.assembler.post_files, find=self.assembler.file)
        self.evidence = EvidenceFolder(
            evidence,
            self.assembler.has_file,
            seen=self.durable.paths(),
        )
        self.path = evidence

    def _publish(self, state: TrustState) -> None:
        with self.published:
            self.state = state
            self.published.notify()

    def start(self, views: Mapping[str, AuthorityView]) -> None:
        for name, view in views.items():
            self.assembler.post_view(name, view)
        self.verifier.put_keys(self.assembler.keys())
        self.verifier.start()

    def read(self) -> None:
        hand, more = partial(self.verifier.put_files, self.path, removed=()), True
        while more:
            news = self.evidence.read(_ROOM, hand)
            hand(news.added)
            while not self.verifier.settled():
                time.sleep(0.05)
            more = news.more
        self.durable.keep_paths(self.evidence.take_changed())

    def add(self, data: bytes) -> float:
        """Hand one file over; return the seconds until a state with it is published."""
        with self.published:
            began, before = time.perf_counter(), self.state
            self.verifier.put_files(self.path, (data,), ())
            self.published.wait_for(lambda: self.state is not before, timeout=60)
            return time.perf_counter() - began

    def stop(self) -> None:
        self.verifier.request_stop()
        self.verifier.join(60)
        self.assembler.close()
        self.durable.close()


def main(
    sizes: Sizes = SIZES, changes: Changes = CHANGES, data: Data = None, as_json: AsJson = False
) -> None:
    """Measure each size, one after another."""
    console = Console(stderr=as_json, highlight=False)
    rows = []
    for size in map(int, sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="admit-size-") as name:
            kept = Path(name) / "data" if data is None else data / str(size)
            rows.append(measure(Path(name), signed(kept, size, changes, console), console))
    if as_json:
        plain = [{**asdict(row), "load_ratio": row.ratio} for row in rows]
        print(json.dumps({**host.facts(), "rows": plain}, indent=2))  # noqa: T201
        return
    console.print(f"load average {os.getloadavg()[0]:.2f}")
    console.print(_table(rows))


@dataclass(frozen=True, slots=True)
class Signed:
    """Evidence that was signed once: a folder of it, further files, and who signed."""

    size: int
    evidence: Path
    more: tuple[bytes, ...]
    views: Mapping[str, AuthorityView]


def measure(folder: Path, signed: Signed, console: Console) -> Row:
    (folder / "state").mkdir(mode=0o700)
    raw = _raw(signed)
    running = Running(declared_world(), folder / "state", signed.evidence)
    running.start(signed.views)
    began, children = time.process_time(), _children()
    running.read()
    files, main = signed.size * STATEMENTS + 1, time.process_time() - began
    load, writer = (main + _children() - children) / files * 1e6, main / files * 1e6
    console.print(
        f"size {signed.size}: loaded in {load:.0f} µs an envelope, {writer:.0f} of them in the"
        f" writer; {raw:.0f} µs to verify one",
        style="dim",
    )
    taken = [running.add(each) * 1e3 for each in signed.more]
    cuts = quantiles(taken, n=100)
    running.stop()
    seconds = float(_child("restarted", folder / "state", signed.evidence))
    anonymous, hot, cold = map(float, _child("reader", folder / "state", signed.evidence).split())
    stored = sum(each.stat().st_size for each in (folder / "state/verified.lmdb").iterdir())
    mib = stored / (1 << 20)
    return Row(
        signed.size, raw, load, writer, cuts[49], cuts[98], seconds, anonymous, hot, cold, mib
    )


def _children() -> float:
    """Processor time of the children that have ended; those of the pool end when it rests."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def signed(folder: Path, size: int, changes: int, console: Console) -> Signed:
    """Return evidence of a size, signed now unless the folder has it."""
    views, more = folder / "views.json", folder / "more.json"
    if not more.exists():
        folder.mkdir(parents=True)
        world = declared_world()
        _write(world, folder / "evidence", size, console)
        records: dict[str, bytes] = {}
        for name, party in world.parties.items():
            records |= view_records.write(name, None, party.view())
        views.write_text(json.dumps({at: data.decode() for at, data in records.items() if data}))
        numbers = range(size, size + changes // STATEMENTS)  # each of them whole
        new = [data.decode() for n in numbers for data in statements(world, n)]
        more.write_text(json.dumps(new))
    found = {at: text.encode() for at, text in json.loads(views.read_text()).items()}
    parties = declared_world().parties
    added = tuple(text.encode() for text in json.loads(more.read_text()))
    return Signed(size, folder / "evidence", added, view_records.read(found, set(parties)))


def _write(world: World, folder: Path, size: int, console: Console) -> None:
    """Write every envelope to a file of its own."""
    folder.mkdir()
    (folder / "environment.json").write_bytes(world.evidence["environment"])
    for number in range(size):
        below = folder / str(number // _PER_FOLDER)
        below.mkdir(exist_ok=True)
        for at, data in enumerate(statements(world, number)):
            (below / f"{number}-{at}.json").write_bytes(data)
    console.print(f"size {size}: {size * STATEMENTS + 1} envelopes written", style="dim")


def _raw(signed: Signed) -> float:
    """Return the microseconds in which ``cryptography`` alone verifies one signature."""
    keys = {key.fingerprint: key for view in signed.views.values() for key in public_keys(view)}
    files = itertools.islice(signed.evidence.rglob("*-*.json"), 2_000)
    made = [(keys[_key_id(data)], dsse.parse(data)) for data in map(Path.read_bytes, files)]
    messages = [
        (key, found.signatures[0], dsse.pae(dsse.PAYLOAD_TYPE, found.payload))
        for key, found in made
    ]
    began = time.process_time()
    assert all(key.verifies(signature, message) for key, signature, message in messages)
    return (time.process_time() - began) / len(messages) * 1e6


def _key_id(data: bytes) -> str:
    found: str = json.loads(data)["signatures"][0]["keyid"]
    return found


def _child(what: str, state: Path, evidence: Path) -> str:
    """Call a function of this module in a process of its own; return what it printed."""
    code = (
        "import sys, pathlib; from tests.bench import size;"
        f" size.{what}(*map(pathlib.Path, sys.argv[1:]))"
    )
    script = [sys.executable, "-c", code, str(state), str(evidence)]
    return subprocess.run(script, stdout=subprocess.PIPE, text=True, check=True).stdout


def restarted(state: Path, evidence: Path) -> None:
    """Print the seconds until the state is published and every file of evidence was looked at."""
    began = time.process_time()
    running = Running(declared_world(), state, evidence)
    running.start(running.views)
    running.read()
    print(time.process_time() - began)  # noqa: T201
    running.stop()


def reader(state: Path, _: Path) -> None:
    """Print the anonymous MiB of a process that reads, and what the predicate costs in it.

    It keeps as many parsed values as a worker, and asks for as many models as fill that.
    """
    world = declared_world()
    store = VerifiedStore(state / verified_store.NAME, read_only=True)
    views = view_records.read(store.views(), set(world.parties))
    found = VerifiedState.resume(world.operator(), store.epoch().tables(), views).snapshot(1)
    models = [model for _, model in found.manifests]
    few, chance = models[:_HOT], random.Random(1)
    hot = _predicate(found, [few[n % len(few)] for n in range(_ASKED)])
    cold = _predicate(found, chance.sample(models, min(_ASKED, len(models))))
    for model in models[:_FILLING]:
        assert assess(Call("openai", OPERATION, (model,)), credential(), found, NOW)
    rollup = Path("/proc/self/smaps_rollup").read_text()
    (line,) = (line for line in rollup.splitlines() if line.startswith("Anonymous:"))
    print(int(line.split()[1]) / 1024, hot, cold)  # noqa: T201


def _predicate(state: TrustState, models: list[str]) -> float:
    """Return the microseconds of the predicate for one call; each must be admissible."""
    began = time.process_time()
    for model in models:
        found = assess(Call("openai", OPERATION, (model,)), credential(), state, NOW)
        assert found.admissible, (model, found.reason)
    return (time.process_time() - began) / len(models) * 1e6


def _table(rows: list[Row]) -> Table:
    table = Table(title="The verified state by size", box=None)
    columns = ("manifests", "verify µs", "load µs", "writer µs", "ratio", "change p50 ms")
    more = ("p99 ms", "restart s", "reader MiB", "hot µs", "cold µs", "store MiB")
    for name in (*columns, *more):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            f"{row.manifests:,}",
            f"{row.raw_us:,.0f}",
            f"{row.load_us:,.0f}",
            f"{row.writer_us:,.0f}",
            f"{row.ratio:.2f}",
            f"{row.change_p50_ms:.1f}",
            f"{row.change_p99_ms:.1f}",
            f"{row.restart_seconds:.1f}",
            f"{row.anonymous_mib:.0f}",
            f"{row.hot_us:.0f}",
            f"{row.cold_us:.0f}",
            f"{row.store_mib:.0f}",
        )
    return table


if __name__ == "__main__":
    unwind_on_sigterm()
    typer.run(main)
