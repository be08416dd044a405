"""``python -m tests.bench.large``: what small calls notice while bodies of twenty megabytes pass.

Small calls are measured idle, and then while clients send the largest body that is read, one after
the other, through the same Envoy and gate. What is printed is the p99 of the small calls in both,
their ratio, and how many large bodies passed meanwhile.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console

from sidecar.demo.show import Teller
from sidecar.demo.stage import Stage
from sidecar.demo.story import Story
from sidecar.toolchain.envoy_process import EnvoyProcess
from tests.bench import upstream
from tests.bench.stand import gateway, question
from tests.bench.wrk import Question, measure

LARGEST = 20 << 20
PACE_PER_SECOND = 3.5
"""Just below what the reference configuration lets in of bodies this large."""

Seconds = Annotated[int, typer.Option(min=1, max=60, help="Length of one measurement.")]
Rounds = Annotated[int, typer.Option(min=1, max=20, help="Measurements of each kind.")]
Connections = Annotated[int, typer.Option(min=1, max=64, help="Small calls under way at a time.")]
Clients = Annotated[int, typer.Option(min=1, max=8, help="Large bodies under way at a time.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON instead.")]


@dataclass(frozen=True, slots=True)
class Found:
    """Medians over the rounds; times in milliseconds."""

    idle_p50: float
    idle_p99: float
    busy_p50: float
    busy_p99: float
    ratio_p99: float
    large_per_second: float
    large_too_late: int


@dataclass
class Senders:
    """Clients that send large bodies until they are stopped."""

    port: int
    question: Question
    body: bytes
    clients: int
    passed: int = 0
    late: int = 0
    wrong: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def send(self) -> None:
        """Send one after the other on one connection; what goes wrong voids the run."""
        try:
            self._send()
        except (OSError, http.client.HTTPException) as error:
            self.wrong.append(repr(error))

    def _send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {
            "content-type": "application/json",
            self.question.credential_header: self.question.credential,
        }
        with contextlib.closing(connection):
            while not self.stopped.is_set() and not self.wrong:
                began = time.monotonic()
                connection.request("POST", self.question.path, self.body, headers)
                reply = connection.getresponse()
                text = reply.read().decode("utf-8", errors="replace")
                if reply.status == http.client.OK:
                    self.passed += 1
                elif "deadline_exceeded" in text:
                    self.late += 1
                else:
                    self.wrong.append(f"{reply.status} {text[:300]}")
                self.stopped.wait(began + self.clients / PACE_PER_SECOND - time.monotonic())

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """Send for as long as the context lasts."""
        threads = [threading.Thread(target=self.send) for _ in range(self.clients)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join()


def main(
    seconds: Seconds = 5,
    rounds: Rounds = 3,
    connections: Connections = 4,
    clients: Clients = 1,
    as_json: AsJson = False,
) -> None:
    """Measure small calls idle, and while the largest bodies pass."""
    console = Console(stderr=as_json, highlight=False)
    console.print("bench: bringing up authorities, gate, OPA and Envoy", style="dim")
    with tempfile.TemporaryDirectory(prefix="admit-bench-") as folder, roomy(Path(folder)) as stand:
        found = _measure(*stand, float(seconds), rounds, connections, clients, Path(folder))
    if as_json:
        print(json.dumps(asdict(found), indent=2))  # noqa: T201
        return
    console.print(f"small calls, idle:                p50 {found.idle_p50:.1f} ms")
    console.print(f"                                  p99 {found.idle_p99:.1f} ms")
    console.print(f"while bodies of 20 MiB pass:      p50 {found.busy_p50:.1f} ms")
    console.print(f"                                  p99 {found.busy_p99:.1f} ms")
    console.print(f"ratio of p99:                     {found.ratio_p99:.2f}")
    console.print(f"large bodies admitted per second: {found.large_per_second:.1f}")
    console.print(f"large bodies denied as too late:  {found.large_too_late}")


@contextlib.contextmanager
def roomy(folder: Path) -> Iterator[tuple[EnvoyProcess, Question]]:
    """The demo's admitted state behind an Envoy that takes the largest bodies."""
    with contextlib.ExitStack() as stack:
        stage = stack.enter_context(Stage(folder / "stage"))
        story = Story(stage, Teller(quiet=True))
        story.prepare()
        key = f"sk-{secrets.token_hex(16)}"
        provider = stack.enter_context(
            EnvoyProcess(upstream.configuration(key, LARGEST), folder / "provider")
        )
        text = gateway(stage, ("127.0.0.1", provider.port), key)
        envoy = stack.enter_context(EnvoyProcess(text, folder / "envoy"))
        yield envoy, question(stage, story.model)


def _measure(
    envoy: EnvoyProcess,
    small: Question,
    seconds: float,
    rounds: int,
    connections: int,
    clients: int,
    folder: Path,
) -> Found:
    value = {**json.loads(small.body), "user": ""}
    padding = "x" * (LARGEST - len(json.dumps(value)))
    body = json.dumps({**value, "user": padding}).encode()
    idle, busy, passed, late = [], [], 0, 0
    settings = {"connections": connections, "folder": folder}
    measure(envoy.url, small, seconds=1.0, **settings)  # type: ignore[arg-type]
    for _ in range(rounds):
        idle.append(measure(envoy.url, small, seconds=seconds, **settings))  # type: ignore[arg-type]
        senders = Senders(envoy.port, small, body, clients)
        with senders.sending():
            busy.append(measure(envoy.url, small, seconds=seconds, **settings))  # type: ignore[arg-type]
        if senders.wrong:
            raise SystemExit(f"bench: a large body was not admitted: {senders.wrong[0]}")
        passed, late = passed + senders.passed, late + senders.late
    idle_p99, busy_p99 = median(one.p99 for one in idle), median(one.p99 for one in busy)
    return Found(
        idle_p50=median(one.p50 for one in idle),
        idle_p99=idle_p99,
        busy_p50=median(one.p50 for one in busy),
        busy_p99=busy_p99,
        ratio_p99=busy_p99 / idle_p99,
        large_per_second=passed / rounds / seconds,
        large_too_late=late,
    )


if __name__ == "__main__":
    typer.run(main)
