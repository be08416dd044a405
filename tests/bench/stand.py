"""What is measured: the admitted state of the demo behind two Envoys that differ in the gate.

    wrk ──▶ Envoy alone ──────────────────────────┐
    wrk ──▶ Envoy with the gate ──▶ (gate ──▶ OPA) ┴──▶ upstream (Envoy)

Authorities, keys, evidence, gate and OPA are those of ``admit demo``; only the upstream is another.
Every measurement is held against what the gate and the upstream counted themselves.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import secrets
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from admissibility_devtools.demo.caller import CREDENTIAL_HEADER
from admissibility_devtools.demo.show import StoryPrinter
from admissibility_devtools.demo.stage import Stage
from admissibility_devtools.demo.story import Story
from admissibility_devtools.tools.envoy_config import (
    Address,
    Name,
    credential_document,
    reference,
    render,
)
from admissibility_devtools.tools.envoy_process import EnvoyProcess
from tests.bench import cpu, upstream
from tests.bench.without_gate import without_gate
from tests.bench.wrk import Measured, Question, VoidError, measure

Way = Literal["alone", "gate"]
WAYS: tuple[Way, ...] = ("alone", "gate")
PATH, FILES_PATH = "/v1/chat/completions", "/v1/files"
_ADMITTED = re.compile(
    r'^admissibility_decisions_total\{[^}]*reason="admitted"[^}]*\} (\S+)$', re.MULTILINE
)
_ALL = re.compile(r"^admissibility_decisions_total\{[^}]*\} (\S+)$", re.MULTILINE)
_STAGE = re.compile(
    r'^admissibility_stage_seconds_(sum|count)\{stage="(\w+)"\} (\S+)$', re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Counted:
    """What gate and upstream counted so far."""

    admitted: int
    decided: int
    served: int


@dataclass(frozen=True, slots=True)
class Stand:
    """The running set-up."""

    stage: Stage
    question: Question
    envoys: dict[Way, EnvoyProcess]
    provider: EnvoyProcess

    def check(self, way: Way) -> None:
        """Send one call and look at the whole of its reply's status.

        Raises:
            VoidError: It was not answered with 200.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.envoys[way].port, timeout=10)
        with contextlib.closing(connection):
            headers = {
                "content-type": "application/json",
                self.question.credential_header: self.question.credential,
            }
            connection.request("POST", self.question.path, self.question.body, headers)
            reply = connection.getresponse()
            text = reply.read().decode("utf-8", errors="replace")
        if reply.status != http.client.OK:
            raise VoidError(f"{way}: {reply.status} {text[:500]}")

    def run(
        self, way: Way, *, connections: int, seconds: float
    ) -> tuple[Measured, dict[str, float]]:
        """Measure one way, and hold the result against what the parts counted.

        Returns:
            The measurement, and microseconds of processor time per call by part.

        Raises:
            VoidError: A call failed, or calls and decisions do not agree.
        """
        self.check(way)
        parts = self.parts(way)
        before, used = self.counted(), cpu.spent(parts)
        url = self.envoys[way].url
        measured = measure(
            url,
            self.question,
            connections=connections,
            seconds=seconds,
            folder=self.stage.folder,
        )
        costs = cpu.per_call(used, cpu.spent(parts), measured.requests)
        agree(way, measured.requests, connections, before, self.counted())
        return measured, costs

    def counted(self) -> Counted:
        """Ask gate and upstream what they counted."""
        text = self.metrics()
        name = f"http.{upstream.STAT_PREFIX}.downstream_rq_2xx"
        served = self.provider.ask_admin(f"/stats?filter=^{re.escape(name)}$")[1]
        return Counted(
            admitted=sum(int(float(number)) for number in _ADMITTED.findall(text)),
            decided=sum(int(float(number)) for number in _ALL.findall(text)),
            served=int(served.rpartition(":")[2] or 0),
        )

    def parts(self, way: Way) -> dict[str, int]:
        """Process ids of what takes part in a call, by name."""
        found = {"Envoy": self.envoys[way].pid, "upstream": self.provider.pid}
        if way == "gate":
            found |= {"gate": self.stage.gate_pid(), "OPA": self.stage.opa_pid()}
        return {name: pid for name, pid in found.items() if pid is not None}

    def stages(self) -> dict[str, tuple[float, int]]:
        """Seconds and number of passages of each stage so far, from the gate's own histogram."""
        found: dict[str, dict[str, float]] = {}
        for kind, stage, number in _STAGE.findall(self.metrics()):
            found.setdefault(stage, {})[kind] = float(number)
        return {stage: (entry["sum"], int(entry["count"])) for stage, entry in found.items()}

    def metrics(self) -> str:
        """The gate's exposition text."""
        with urllib.request.urlopen(f"{self.stage.metrics}/metrics", timeout=10) as reply:
            return str(reply.read().decode())


def agree(way: Way, requests: int, connections: int, before: Counted, after: Counted) -> None:
    """Hold a measurement against the counters.

    ``wrk`` stops in the middle of at most one call on each connection, which the parts count and
    it does not.

    Raises:
        VoidError: They disagree.
    """
    asked = after.decided - before.decided
    admitted = after.admitted - before.admitted
    served = after.served - before.served
    most = requests + connections
    expected = asked == admitted and (
        requests <= asked <= most if way == "gate" else asked == 0 and admitted == 0
    )
    if not expected or not requests <= served <= most:
        raise VoidError(
            f"{way}: {requests} calls, but {asked} decisions, {admitted} admitted,"
            f" {served} served by the upstream"
        )


@contextlib.contextmanager
def standing(folder: Path) -> Iterator[Stand]:
    """Bring everything up in ``folder``, and down again.

    Raises:
        StageError: The gate did not become ready.
        ProgramError: OPA or Envoy is not here, or does not start.
        VoidError: The demo's call is not admitted.
    """
    with contextlib.ExitStack() as stack:
        stage = stack.enter_context(Stage(folder))
        story = Story(stage, StoryPrinter(quiet=True))
        story.prepare()
        key = f"sk-{secrets.token_hex(16)}"
        provider = stack.enter_context(
            EnvoyProcess(upstream.configuration(key), folder / "bench-provider")
        )
        gated = gateway(stage, ("127.0.0.1", provider.port), key)
        envoys: dict[Way, EnvoyProcess] = {
            "alone": stack.enter_context(EnvoyProcess(without_gate(gated), folder / "bench-alone")),
            "gate": stack.enter_context(EnvoyProcess(gated, folder / "bench-gate")),
        }
        stand = Stand(stage, question(stage, story.model), envoys, provider)
        for way in WAYS:
            stand.check(way)
        yield stand


def gateway(stage: Stage, provider: Address, key: str, name: Name = "jwt") -> str:
    """A reference configuration, to this stage's gate and to ``provider``."""
    credential = stage.folder / "bench-credential.yaml"
    credential.touch(0o600)
    credential.write_text(credential_document(f"Bearer {key}"), encoding="utf-8")
    host, _, port = stage.listen.rpartition(":")
    return render(
        reference(name),
        listener_port=0,
        admin_port=0,
        gate=(host, int(port)),
        upstream=provider,
        credential_file=credential,
    )


def question(stage: Stage, model: str) -> Question:
    """A chat completion by the demo's application, as its SDK writes it."""
    body = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You answer customers of a bank, briefly and kindly."},
            {"role": "user", "content": "Where is my refund?"},
        ],
        "temperature": 0.2,
    }
    credential = stage.application().credential
    if credential is None:
        raise VoidError("the application has no credential")
    return Question(PATH, json.dumps(body), CREDENTIAL_HEADER, credential)
