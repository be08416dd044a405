"""``python -m tests.bench.grown``: what a call costs beside many manifests, and beside few.

For each size there are two gates, with leases and without, over one state: the simulator's admitted
model, which is called, and the evidence of so many other models that ``tests.bench.size`` signs.
Each has an Envoy. ``wrk`` posts to all of them in turn, so that whatever else the machine does
falls on every size alike; a ratio is that of the medians.

``--data FOLDER`` keeps what was signed, for the next run of the same sizes.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import pytest
import typer
import yaml
from rich.console import Console
from rich.table import Table

from admissibility_devtools.demo.caller import CREDENTIAL_HEADER
from admissibility_devtools.demo.gate_process import GateProcess
from admissibility_devtools.tools.envoy_config import credential_document, reference, render
from admissibility_devtools.tools.envoy_process import EnvoyProcess
from sidecar.opa.location import opa_path
from tests.bench import cpu, loading, upstream
from tests.bench.size import signed
from tests.bench.stand import PATH, child_named
from tests.bench.wrk import NUMBER, Measured, Question, measure
from tests.process.service.site import Site, in_the_present
from tests.support.sigterm import unwind_on_sigterm
from tests.support.simulator.constants import MODEL

CONNECTIONS = 32
_WAYS: dict[str, dict[str, int]] = {"leased": {}, "fresh": {"max_leases": 0}}

Sizes = Annotated[str, typer.Option(help="Numbers of other manifests, separated by commas.")]
Seconds = Annotated[int, typer.Option(min=1, max=60, help="Length of one measurement.")]
Rounds = Annotated[int, typer.Option(min=1, max=50, help="Measurements for each row.")]
Data = Annotated[Path | None, typer.Option(help="Keeps the signed evidence of each size.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON instead.")]


@dataclass(frozen=True, slots=True)
class Row:
    """One gate: medians of its measurements.

    Attributes:
        manifests: How many other models it knows.
        way: With leases, or without.
        per_second: Calls answered in a second.
        p99: Milliseconds.
        gate_us: Processor time of the gate for one call.
        opa_us: The same of its OPA.
    """

    manifests: int
    way: str
    per_second: float
    p99: float
    gate_us: float
    opa_us: float


@dataclass(frozen=True, slots=True)
class _Served:
    """A gate that answers, and the Envoy before it."""

    manifests: int
    way: str
    envoy: EnvoyProcess
    parts: dict[str, int]


def main(
    sizes: Sizes = "10,1000",
    seconds: Seconds = 3,
    rounds: Rounds = 7,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Measure the gates of all sizes side by side."""
    console = Console(stderr=as_json, highlight=False)
    with tempfile.TemporaryDirectory(prefix="admit-grown-") as name, contextlib.ExitStack() as on:
        folder, key = Path(name), f"sk-{secrets.token_hex(16)}"
        provider = on.enter_context(EnvoyProcess(upstream.configuration(key), folder / "provider"))
        served: list[tuple[_Served, Question]] = []
        for size in map(int, sizes.split(",")):
            kept = folder / "data" / str(size) if data is None else data / str(size)
            site = on.enter_context(_site(folder / str(size), kept, size, console))
            question = _question(site.token)
            gates = on.enter_context(_gates(site, size, provider.port, key))
            served += [(each, question) for each in gates]
        load = os.getloadavg()[0]
        rows = _measured(served, seconds, rounds, folder)
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))  # noqa: T201
        return
    console.print(f"load average {load:.2f} before, {os.getloadavg()[0]:.2f} after")
    console.print(_table(rows))


@contextlib.contextmanager
def _site(folder: Path, kept: Path, size: int, console: Console) -> Iterator[Site]:
    """Write an installation that knows the admitted model, and so many others."""
    others = signed(kept, size, 10, console)
    with pytest.MonkeyPatch.context() as patch:
        folder.mkdir()
        opa = {"managed": {"binary": str(opa_path())}}
        site = in_the_present(folder, patch, credential_header=CREDENTIAL_HEADER, opa=opa)
        for name, view in others.views.items():
            _also_signed_by(site, name, [entry.pem for entry in view.document.keys])
        trust = yaml.safe_load(site.trust.read_text(encoding="utf-8"))
        trust["evidence"].append(str(others.evidence.absolute()))
        site.trust.write_text(yaml.safe_dump(trust), encoding="utf-8")
        yield site


def _also_signed_by(site: Site, name: str, pems: list[str]) -> None:
    """Let an authority list the keys with which the evidence of the others was signed."""
    party = site.world.parties[name]
    entry = {"window": party.key_window, "predicateTypes": list(party.predicate_types)}
    distinct = dict.fromkeys((party.key.pem, *pems))  # worlds may share their keys
    document = {
        "type": "urn:admissibility:authority:v1",
        "name": name,
        "keys": [{"pem": pem, **entry} for pem in distinct],
        "trustDomains": party.trust_domains,
    }
    withdrawals = {"type": "urn:admissibility:withdrawals:v1", "entries": []}
    site.repositories[name].publish(
        {
            "authority.json": json.dumps(document).encode(),
            "withdrawals.json": json.dumps(withdrawals).encode(),
        }
    )


@contextlib.contextmanager
def _gates(site: Site, size: int, upstream_port: int, key: str) -> Iterator[list[_Served]]:
    """Run both gates over one state; the second reads what the first has verified."""
    with contextlib.ExitStack() as on:
        served = []
        for way, settings in _WAYS.items():
            folder = site.folder / way
            folder.mkdir()
            gate = on.enter_context(GateProcess(folder))
            gate.configure({**site.settings, "trust": str(site.trust), **settings})
            gate.spawn()
            loading.wait(gate, size + 1)
            credential = folder / "credential.yaml"
            credential.touch(0o600)
            credential.write_text(credential_document(f"Bearer {key}"), encoding="utf-8")
            host, _, port = gate.listen.rpartition(":")
            config = render(
                reference("jwt"),
                listener_port=0,
                admin_port=0,
                gate=(host, int(port)),
                upstream=("127.0.0.1", upstream_port),
                credential_file=credential,
            )
            envoy = on.enter_context(EnvoyProcess(config, folder / "envoy"))
            parts = {"gate": gate.pid, "opa": child_named("opa", gate.pid)}
            served.append(_Served(size, way, envoy, parts))
        yield served


def _question(token: str) -> Question:
    message = {"role": "user", "content": f"Where is my refund {NUMBER}?"}
    body = json.dumps({"model": MODEL, "messages": [message]})
    return Question(PATH, body, CREDENTIAL_HEADER, token)


def _measured(
    served: list[tuple[_Served, Question]], seconds: int, rounds: int, folder: Path
) -> list[Row]:
    found: dict[tuple[int, str], list[tuple[Measured, dict[str, float]]]] = {}
    for number in range(rounds + 1):
        for each, question in served:
            before = cpu.spent(each.parts)
            one = measure(
                each.envoy.url, question, connections=CONNECTIONS, seconds=seconds, folder=folder
            )
            costs = cpu.per_call(before, cpu.spent(each.parts), one.requests)
            if number > 0:  # the first round fills leases and caches
                found.setdefault((each.manifests, each.way), []).append((one, costs))
    return [
        Row(
            *at,
            median(one.per_second for one, _ in many),
            median(one.p99 for one, _ in many),
            median(costs["gate"] for _, costs in many),
            median(costs["opa"] for _, costs in many),
        )
        for at, many in found.items()
    ]


def _table(rows: list[Row]) -> Table:
    table = Table(title="A call beside other manifests", box=None)
    for title in ("manifests", "way", "calls/s", "ratio", "p99 ms", "gate µs", "OPA µs"):
        table.add_column(title, justify="right")
    first = {row.way: row.per_second for row in reversed(rows)}
    for row in rows:
        table.add_row(
            f"{row.manifests:,}",
            row.way,
            f"{row.per_second:,.0f}",
            f"{row.per_second / first[row.way]:.2f}",
            f"{row.p99:.1f}",
            f"{row.gate_us:.0f}",
            f"{row.opa_us:.0f}",
        )
    return table


if __name__ == "__main__":
    unwind_on_sigterm()
    typer.run(main)
