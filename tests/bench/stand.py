"""What is measured: the admitted state of the demo behind two Envoys that differ in the gate.

    wrk ──▶ Envoy alone ───────────────────────────────────────────────┐
    wrk ──▶ Envoy ──▶ constant-reply service, gate, gate without leases ┴──▶ upstream (Envoy)

Authorities, keys, evidence, gate and OPA are those of ``admit demo``; only the upstream is another.
The second gate follows the same authorities with ``max_leases: 0``. Where ``OPA_ENVOY_PLUGIN``
names a binary, two of them are measured too. Every measurement is held against what the gates and
the upstream counted themselves.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import secrets
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from admissibility_devtools.demo.caller import CREDENTIAL_HEADER
from admissibility_devtools.demo.gate_process import GateProcess
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
from sidecar.service.setup import BEAT_SECONDS
from tests.bench import constant_server, cpu, plugin, upstream
from tests.bench.without_gate import without_gate
from tests.bench.wrk import NUMBER, Measured, Question, VoidError, measure

Way = Literal["alone", "constant", "leased", "fresh", "plugin", "composite"]
WAYS: tuple[Way, ...] = ("alone", "constant", "leased", "fresh")
GATES: tuple[Way, ...] = ("leased", "fresh")
GATE_NAME = "admissibility"
PATH, FILES_PATH = "/v1/chat/completions", "/v1/files"
_ADMITTED = re.compile(
    r'^admissibility_decisions_total\{[^}]*reason="admitted"[^}]*\} (\S+)$', re.MULTILINE
)
_ALL = re.compile(r"^admissibility_decisions_total\{[^}]*\} (\S+)$", re.MULTILINE)
_STAGE = re.compile(
    r'^admissibility_stage_seconds_(sum|count)\{stage="(\w+)"\} (\S+)$', re.MULTILINE
)


def story_settings(workers: int) -> dict[str, Any]:
    """Return the settings of a gate that the demo is prepared with: it submits a tuning job."""
    return {"workers": workers, "open_operations": ["files.create"]}


@dataclass(frozen=True, slots=True)
class Counted:
    """What gate and upstream counted so far."""

    admitted: int
    decided: int
    served: int


@dataclass(frozen=True, slots=True)
class Stand:
    """The running set-up.

    Attributes:
        stage: The demo's.
        question: What is sent.
        envoys: An Envoy for each way.
        provider: The upstream.
        services: What each way's Envoy asks: name of the part → process id.
        metrics: The HTTP endpoint of each gate.
    """

    stage: Stage
    question: Question
    envoys: dict[Way, EnvoyProcess]
    provider: EnvoyProcess
    services: dict[Way, dict[str, int]]
    metrics: dict[Way, str]

    @property
    def ways(self) -> tuple[Way, ...]:
        """Everything that is measured, in order."""
        return tuple(self.envoys)

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
            connection.request(
                "POST", self.question.path, self.question.body.replace(NUMBER, "0"), headers
            )
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
        before, used = self._settled(way), cpu.spent(parts)
        url = self.envoys[way].url
        measured = measure(
            url,
            self.question,
            connections=connections,
            seconds=seconds,
            folder=self.stage.folder,
        )
        costs = cpu.per_call(used, cpu.spent(parts), measured.requests)
        agree(way, measured.requests, connections, before, self._settled(way))
        return measured, costs

    def _settled(self, way: Way) -> Counted:
        """Return what was counted, once each worker of a gate of several has stated its part."""
        found = self.counted(way)
        while "writer" in self.services[way]:
            time.sleep(2 * BEAT_SECONDS)
            before, found = found, self.counted(way)
            if found == before:
                break
        return found

    def counted(self, way: Way) -> Counted:
        """Ask a way's gate, where it has one, and the upstream what they counted."""
        text = self.exposition(way)
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
        return {name: pid for name, pid in found.items() if pid is not None} | self.services[way]

    def memory(self, way: Way) -> dict[str, float]:
        """Resident memory of what takes part in a call, in MiB."""
        return {name: cpu.resident(pid) for name, pid in self.parts(way).items()}

    def stages(self, way: Way) -> dict[str, tuple[float, int]]:
        """Seconds and number of passages of each stage so far, from the gate's own histogram."""
        found: dict[str, dict[str, float]] = {}
        for kind, stage, number in _STAGE.findall(self.exposition(way)):
            found.setdefault(stage, {})[kind] = float(number)
        return {stage: (entry["sum"], int(entry["count"])) for stage, entry in found.items()}

    def exposition(self, way: Way) -> str:
        """A gate's exposition text; empty for a way without one."""
        if way not in self.metrics:
            return ""
        with urllib.request.urlopen(f"{self.metrics[way]}/metrics", timeout=10) as reply:
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
        requests <= asked <= most if way in GATES else asked == 0 and admitted == 0
    )
    if not expected or not requests <= served <= most:
        raise VoidError(
            f"{way}: {requests} calls, but {asked} decisions, {admitted} admitted,"
            f" {served} served by the upstream"
        )


@contextlib.contextmanager
def standing(folder: Path, workers: int = 1) -> Iterator[Stand]:
    """Bring everything up in ``folder``, and down again.

    Args:
        folder: Is emptied.
        workers: Of each gate: how many processes answer Envoy.

    Raises:
        StageError: The gate did not become ready.
        ProgramError: OPA or Envoy is not here, or does not start.
        VoidError: The demo's call is not admitted.
    """
    with contextlib.ExitStack() as stack:
        stage = stack.enter_context(Stage(folder, settings=story_settings(workers)))
        story = Story(stage, StoryPrinter(quiet=True))
        story.prepare()
        key = f"sk-{secrets.token_hex(16)}"
        provider = stack.enter_context(
            EnvoyProcess(upstream.configuration(key), folder / "bench-provider")
        )
        found = _Services(stage, question(stage, story.model), stack)
        found.start(story.model)
        envoys: dict[Way, EnvoyProcess] = {}
        address = ("127.0.0.1", provider.port)
        plain = gateway(stage, address, key)
        for way in ("alone", *found.listen):
            listen = found.listen.get(way, stage.listen)
            config = without_gate(plain) if way == "alone" else gateway(stage, address, key, listen)
            envoys[way] = stack.enter_context(EnvoyProcess(config, folder / f"bench-{way}"))
        stand = Stand(stage, found.question, envoys, provider, found.processes, found.metrics)
        for way in stand.ways:
            stand.check(way)
        yield stand


@dataclass(slots=True)
class _Services:
    """Starts what the Envoys ask, and notes where it listens and which processes it is."""

    stage: Stage
    question: Question
    stack: contextlib.ExitStack
    listen: dict[Way, str] = field(default_factory=dict)
    processes: dict[Way, dict[str, int]] = field(default_factory=lambda: {"alone": {}})
    metrics: dict[Way, str] = field(default_factory=dict)

    def start(self, model: str) -> None:
        """Start every service; the gate of the stage runs already."""
        header = self.question.credential_header
        constant = self.stack.enter_context(constant_server.running(header, GATE_NAME))
        self._note("constant", constant.port, {"service": constant.pid})
        self.listen["leased"], self.metrics["leased"] = self.stage.listen, self.stage.metrics
        self.processes["leased"] = _gate_processes(self.stage.gate_pid(), self.stage.metrics)
        second = second_gate(self.stage)
        self.stack.callback(second.stop)
        self.listen["fresh"], self.metrics["fresh"] = second.listen, second.metrics
        self.processes["fresh"] = _gate_processes(second.pid, second.metrics)
        if (program := plugin.binary()) is None:
            return
        ways: tuple[tuple[Way, str], ...] = (
            ("plugin", plugin.ALLOW_ALL),
            ("composite", plugin.COMPOSITE),
        )
        for way, policy in ways:
            folder = self.stage.folder / f"opa-{way}"
            served = plugin.running(program, policy, model, header, GATE_NAME, folder)
            running = self.stack.enter_context(served)
            self._note(way, running.port, {"plugin": running.pid})

    def _note(self, way: Way, port: int, processes: dict[str, int]) -> None:
        self.listen[way] = f"127.0.0.1:{port}"
        self.processes[way] = processes


def _gate_processes(pid: int, metrics: str) -> dict[str, int]:
    """Return the processes of a gate by role; ``gate`` is the one that was started."""
    with urllib.request.urlopen(f"{metrics}/status", timeout=10) as reply:
        told = json.load(reply)["processes"]
    found = {"gate": pid}
    for each in told:
        role, number = each["role"], each["number"]
        found[f"{role} {number}" if role == "worker" else role] = each["pid"]
    return found | {"OPA": child_named("opa", found.get("policies", pid))}


def child_named(name: str, parent: int) -> int:
    """Return the process id of a process's only child of that name.

    Raises:
        VoidError: There is none.
    """
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            head, _, tail = entry.read_text().rpartition(")")
            if head.endswith(f"({name}") and int(tail.split()[1]) == parent:
                return int(entry.parent.name)
    raise VoidError(f"process {parent} has no child {name}")


def second_gate(stage: Stage) -> GateProcess:
    """Start a gate without leases that follows the same authorities, with a state of its own."""
    folder = stage.folder / "fresh"
    folder.mkdir()
    trust = yaml.safe_load((stage.folder / "trust.yaml").read_text(encoding="utf-8"))
    path = stage.folder / "trust-fresh.yaml"
    path.write_text(yaml.safe_dump({**trust, "state": str(folder / "state")}), encoding="utf-8")
    settings = yaml.safe_load((stage.folder / "sidecar.yaml").read_text(encoding="utf-8"))
    settings.pop("facts_log", None)  # the demo's, for authors of policies; off by default
    opa = {"managed": {"binary": settings["opa"]["managed"]["binary"]}}
    gate = GateProcess(folder)
    gate.configure({**settings, "trust": str(path), "opa": opa, "max_leases": 0})
    return gate.start()


def gateway(stage: Stage, provider: Address, key: str, listen: str = "", name: Name = "jwt") -> str:
    """A reference configuration, to this stage's gate or another and to ``provider``."""
    credential = stage.folder / "bench-credential.yaml"
    credential.touch(0o600)
    credential.write_text(credential_document(f"Bearer {key}"), encoding="utf-8")
    host, _, port = (listen or stage.listen).rpartition(":")
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
            {"role": "user", "content": f"Where is my refund {NUMBER}?"},
        ],
        "temperature": 0.2,
    }
    credential = stage.application().credential
    if credential is None:
        raise VoidError("the application has no credential")
    return Question(PATH, json.dumps(body), CREDENTIAL_HEADER, credential)
