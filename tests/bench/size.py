"""``python -m tests.bench.size``: what the verified state costs as it grows.

For each size, with real keys: how fast evidence is verified and stored, against what
``cryptography`` alone verifies on the same machine; what one change takes until its state is
published; how long a restart takes until the state can be read; and the memory of a process that
only reads. The evidence is in a real folder, and read, verified and stored as the control path does
it; authorities' views are posted without TUF. Loading, verifying and restarting are measured in
processor time of one process, so that what else the machine does is left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import quantiles
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from sidecar.core import dsse
from sidecar.core.trust_state import TrustState, VerifiedState, public_keys
from sidecar.trust import verified_store, view_records
from sidecar.trust.assembler import Assembler
from sidecar.trust.durable_state import DurableState
from sidecar.trust.evidence_folder import EvidenceFolder
from sidecar.trust.evidence_verifier import EvidenceVerifier
from sidecar.trust.verified_store import VerifiedStore
from tests.support.simulator.many import STATEMENTS, declared_world, statements
from tests.support.simulator.world import APPROVERS, World

SIZES = "10,1000"
CHANGES = 200
_PER_FOLDER = 1_000
_ROOM = 1 << 26

Sizes = Annotated[str, typer.Option(help="Numbers of manifests, separated by commas.")]
Changes = Annotated[int, typer.Option(min=10, help="Single changes that are timed.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON instead.")]


@dataclass(frozen=True, slots=True)
class Row:
    """One size. Times in the unit of the name; memory is anonymous, of a process that reads."""

    manifests: int
    raw_per_second: float
    load_per_second: float
    change_p50_ms: float
    change_p99_ms: float
    restart_seconds: float
    anonymous_mib: float
    store_mib: float

    @property
    def ratio(self) -> float:
        """Speed of the first load as a share of ``cryptography`` alone."""
        return self.load_per_second / self.raw_per_second


class Running:
    """The control path without TUF: a folder, the verifier, the durable state."""

    def __init__(self, world: World, folder: Path) -> None:
        self.published = threading.Condition()
        self.state: TrustState | None = None
        self.durable = DurableState(folder / "state", world.operator())
        self.assembler = Assembler(self.durable, self._publish)
        self.verifier = EvidenceVerifier(self.assembler.post_files, find=self.assembler.file)
        self.evidence = EvidenceFolder(
            folder / "evidence",
            self.assembler.has_file,
            seen=self.durable.paths(),
        )
        self.path = folder / "evidence"

    def _publish(self, state: TrustState) -> None:
        with self.published:
            self.state = state
            self.published.notify()

    def start(self, world: World) -> None:
        for name, party in world.parties.items():
            self.assembler.post_view(name, party.view())
        self.verifier.put_keys(self.assembler.keys())
        self.verifier.start()

    def read(self) -> None:
        news = self.evidence.read(_ROOM)
        while news.added or news.more:
            self.verifier.put_files(self.path, news.added, ())
            while not self.verifier.settled():
                time.sleep(0.005)
            news = self.evidence.read(_ROOM)
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


def main(sizes: Sizes = SIZES, changes: Changes = CHANGES, as_json: AsJson = False) -> None:
    """Measure each size, one after another."""
    console = Console(stderr=as_json, highlight=False)
    rows = []
    for size in map(int, sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="admit-size-") as name:
            rows.append(measure(Path(name), size, changes, console))
    if as_json:
        plain = [{**asdict(row), "load_ratio": row.ratio} for row in rows]
        print(json.dumps({"load": os.getloadavg()[0], "rows": plain}, indent=2))  # noqa: T201
        return
    console.print(f"load average {os.getloadavg()[0]:.2f}")
    console.print(_table(rows))


def measure(folder: Path, size: int, changes: int, console: Console) -> Row:
    world = declared_world()
    (folder / "state").mkdir(mode=0o700)
    sample = _write(world, folder / "evidence", size, console)
    raw = _raw(world, sample)
    running = Running(world, folder)
    running.start(world)
    began = time.process_time()
    running.read()
    load = (size * STATEMENTS + 1) / (time.process_time() - began)
    console.print(
        f"size {size}: loaded at {load:.0f}/s, {load / raw:.0%} of verifying", style="dim"
    )
    new = (data for n in range(size, size + changes) for data in statements(world, n))
    taken = [running.add(data) * 1e3 for _, data in zip(range(changes), new, strict=False)]
    cuts = quantiles(taken, n=100)
    running.stop()
    seconds, anonymous = _restart(folder)
    stored = sum(each.stat().st_size for each in (folder / "state/verified.lmdb").iterdir())
    return Row(size, raw, load, cuts[49], cuts[98], seconds, anonymous, stored / (1 << 20))


def _write(world: World, folder: Path, size: int, console: Console) -> list[bytes]:
    """Write every envelope to a file of its own; return some of them."""
    folder.mkdir()
    (folder / "environment.json").write_bytes(world.evidence["environment"])
    sample: list[bytes] = []
    for number in range(size):
        below = folder / str(number // _PER_FOLDER)
        below.mkdir(exist_ok=True)
        for at, data in enumerate(statements(world, number)):
            (below / f"{number}-{at}.json").write_bytes(data)
            if len(sample) < 2_000:
                sample.append(data)
    console.print(f"size {size}: {size * STATEMENTS + 1} envelopes written", style="dim")
    return sample


def _raw(world: World, sample: list[bytes]) -> float:
    """Return how many signatures ``cryptography`` alone verifies in a second."""
    views = [party.view() for party in world.parties.values()]
    keys = {key.fingerprint: key for view in views for key in public_keys(view)}
    made = [(keys[_key_id(data)], dsse.parse(data)) for data in sample]
    messages = [
        (key, found.signatures[0], dsse.pae(dsse.PAYLOAD_TYPE, found.payload))
        for key, found in made
    ]
    began = time.process_time()
    assert all(key.verifies(signature, message) for key, signature, message in messages)
    return len(messages) / (time.process_time() - began)


def _key_id(data: bytes) -> str:
    found: str = json.loads(data)["signatures"][0]["keyid"]
    return found


def _restart(folder: Path) -> tuple[float, float]:
    """Start again in a process of its own, and read in another; return seconds and MiB."""
    seconds = float(_child("restarted", folder))
    return seconds, float(_child("reader", folder))


def _child(what: str, folder: Path) -> str:
    code = (
        f"import sys, pathlib; from tests.bench import size; size.{what}(pathlib.Path(sys.argv[1]))"
    )
    script = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(script, stdout=subprocess.PIPE, text=True, check=True).stdout


def restarted(folder: Path) -> None:
    """Print the seconds until the state is published and every file of evidence was looked at."""
    began, world = time.process_time(), declared_world()
    running = Running(world, folder)
    for name, view in running.durable.state.views.items():
        running.assembler.post_view(name, view)
    running.verifier.put_keys(running.assembler.keys())
    running.verifier.start()
    running.read()
    print(time.process_time() - began)  # noqa: T201
    running.stop()


def reader(folder: Path) -> None:
    """Print the anonymous MiB of a process that read every model's evidence."""
    store = VerifiedStore(folder / "state" / verified_store.NAME, read_only=True)
    state = VerifiedState.resume(
        declared_world().operator(), store.epoch().tables(), view_records.read(store.views())
    ).snapshot(1)
    for items in state.manifests.values():
        for item in items:  # the last one may have been added in part
            assert len(state.approvals.get(item.digest, ())) <= len(APPROVERS)
            assert len(state.results.get(item.digest, ())) <= 1
    rollup = Path("/proc/self/smaps_rollup").read_text()
    (line,) = (line for line in rollup.splitlines() if line.startswith("Anonymous:"))
    print(int(line.split()[1]) / 1024)  # noqa: T201


def _table(rows: list[Row]) -> Table:
    table = Table(title="The verified state by size", box=None)
    columns = ("manifests", "verify/s", "load/s", "ratio", "change p50 ms", "p99 ms")
    for name in (*columns, "restart s", "reader MiB", "store MiB"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(
            f"{row.manifests:,}",
            f"{row.raw_per_second:,.0f}",
            f"{row.load_per_second:,.0f}",
            f"{row.ratio:.2f}",
            f"{row.change_p50_ms:.1f}",
            f"{row.change_p99_ms:.1f}",
            f"{row.restart_seconds:.1f}",
            f"{row.anonymous_mib:.0f}",
            f"{row.store_mib:.0f}",
        )
    return table


if __name__ == "__main__":
    typer.run(main)
