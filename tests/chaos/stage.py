"""A real installation for one run: gate, OPA, authorities, their servers, and who watches it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
from base64 import b64decode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.formats.evidence_index import INDEX_FILE
from tests.chaos import evidence, faults, transports
from tests.chaos.clock import SteppedClock, SteppedGate
from tests.chaos.editions import BASE_CALL, MODEL_CALL, QUESTIONS, Asked, Edition, Noun, Record
from tests.chaos.proxy import LossyProxy, lossy_proxy
from tests.chaos.setups import Setup
from tests.chaos.transports import Files, Transport, files_of
from tests.process.policies.opa import REVISION, OpaServer, build_bundle
from tests.process.service.site import Running, Site, in_the_present
from tests.support.gate.requests import as_check_request, json_body
from tests.support.simulator.constants import BASE, ENV, MODEL
from tests.support.simulator.world import World, admitted_world
from tests.unit.trust.repository import Repository, now

CHECK = "/envoy.service.auth.v3.Authorization/Check"
POLL_SECONDS = 0.2
NEEDED = {
    MODEL_CALL: ("customer", "evaluator", "producer", "provider", "regulator"),
    BASE_CALL: ("customer", "provider"),
}
LIFE = timedelta(hours=1)
STATE_BYTES = 24 << 20
ORPHAN_SECONDS = 30.0
_LISTENING = re.compile(r"gate on (\S+), metrics on (\S+)\n")


@dataclass
class Stage:
    """One run's installation; ``clock()`` is its time, in seconds since it began.

    Attributes:
        policies: Between the gate and an OPA that it does not start, if there is one.
        wall: The gate's wall clock, where a run steps it.
        forks: Authority → an edition by other keys.
        copies: Authority → a copy of its repository for each edition.
        withdrawn: What is withdrawn now.
        orphans: What a gate that was killed had started.
        sets: How many sets of evidence were published, where the gate fetches it.
    """

    setup: Setup
    site: Site
    transport: Transport
    gate: Running
    record: Record
    nouns: tuple[Noun, ...]
    policies: LossyProxy | None = None
    wall: SteppedClock | None = None
    forks: dict[str, Files] = field(default_factory=dict)
    copies: dict[str, list[Path]] = field(default_factory=dict)
    withdrawn: set[Noun] = field(default_factory=set)
    orphans: dict[int, str] = field(default_factory=dict)
    sets: int = 0
    began: float = field(default_factory=time.monotonic)
    over: threading.Event = field(default_factory=threading.Event)

    def clock(self) -> float:
        return time.monotonic() - self.began

    @property
    def authorities(self) -> tuple[str, ...]:
        return tuple(self.site.world.parties)

    def publish(self, authority: str, life: timedelta = LIFE) -> None:
        """Publish what one authority has withdrawn, and note the edition."""
        party, repository = self.site.world.parties[authority], self.site.repositories[authority]
        own = sorted((n for n in self.withdrawn if n.authority == authority), key=str)
        party.withdrawals = [
            {"kind": noun.kind, "subject": noun.subject, "reason": "chaos"} for noun in own
        ]
        expires = now() + life
        repository.expires["timestamp"] = expires
        left = (expires - self.site.now).total_seconds()
        at = self.clock()  # from here on a gate may have it, in whatever order files arrive
        self.site.publish(party)
        ends = frozenset(question for noun in own for question in noun.ends)
        version = repository.versions["timestamp"]
        self.record.publish(authority, Edition(version, at, at + left, ends))
        copy = self.site.folder / "copies" / authority / str(version)
        shutil.copytree(repository.folder, copy)
        self.copies.setdefault(authority, []).append(copy)
        self.transport.serve(authority, files_of(repository.folder))

    def publish_evidence(self) -> None:
        """Publish the next set of evidence, which is all there is."""
        self.transport.serve_evidence(self.evidence_files())

    def evidence_files(self, without: str = "") -> evidence.Files:
        """Return the next set of evidence as it is published, but for one file."""
        self.sets += 1
        known = self.site.world.evidence.values()
        every = evidence.published(self.sets, known)
        left = (every[name] for name in every if name not in (without, INDEX_FILE))
        return evidence.published(self.sets, left)

    def launch(self) -> None:
        """Start the gate, and wait for nothing."""
        self.gate.spawn()

    @property
    def running(self) -> bool:
        child = self.gate._child
        return child is not None and child.poll() is None

    def kill(self) -> None:
        """End the gate as ``kill -9`` does; its other processes must then end by themselves."""
        if self.running:
            self.orphans |= faults.descendants(self.gate.pid)
            self.gate._started().kill()
            self.gate._started().wait(10)

    def end(self) -> list[int]:
        """End the gate; return which of its processes have not ended in time."""
        self.kill()
        until = time.monotonic() + ORPHAN_SECONDS
        left = list(self.orphans)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)  # a run may have stopped it
        while (left := [pid for pid in left if _runs(pid)]) and time.monotonic() < until:
            time.sleep(0.02)
        return left

    def watch(self) -> Iterator[threading.Thread]:
        """Yield threads that ask the gate all the time, and look at what it has in force."""
        yield threading.Thread(target=self._ask, daemon=True)
        yield threading.Thread(target=self._look, daemon=True)

    def _ask(self) -> None:
        messages = {
            MODEL_CALL: json_body(model=MODEL),
            BASE_CALL: json_body(model=BASE),
        }
        number = 0
        options = [("grpc.use_local_subchannel_pool", 1)]  # workers share a port: ask them all
        while not self.over.wait(0.01):
            found = self._listening()
            if found is None:
                continue
            with grpc.insecure_channel(found[0], options=options) as channel:
                check = channel.unary_unary(
                    CHECK,
                    request_serializer=pb.CheckRequest.SerializeToString,
                    response_deserializer=pb.CheckResponse.FromString,
                )
                for _ in range(20):
                    number += 1
                    question = QUESTIONS[number % len(QUESTIONS)]
                    # Another content each time: a gate may lease what it decided.
                    message = as_check_request(body=messages[question], credential=self.site.token)
                    self.record.asked.append(self._answer(check, message, question))
                    if self.over.wait(0.01):
                        return

    def _answer(self, check: Any, message: pb.CheckRequest, question: str) -> Asked:
        began = self.clock()
        try:
            reply = check(message, timeout=3)
        except grpc.RpcError:
            return Asked(began, self.clock(), question, None)
        answer, headers = reply.status.message, reply.denied_response.headers
        if reply.status.code == 0:
            answer, headers = "admitted", reply.ok_response.response_headers_to_add
        decision = next(
            (h.header.value for h in headers if h.header.key.endswith("decision-id")), ""
        )
        return Asked(began, self.clock(), question, answer, decision)

    def _look(self) -> None:
        while not self.over.wait(0.05):
            with suppress(OSError, ValueError, KeyError):
                for name, version in self.in_force().items():
                    self.record.in_force(name, version, self.clock())

    def in_force(self) -> dict[str, int]:
        """Return the versions by which the gate states that it decides."""
        # Another port at each start; the log begins anew as well.
        envelope = self._get("status/signed")
        statement = json.loads(b64decode(envelope["payload"]))
        return {each["name"]: each["version"] for each in statement["authorities"]}

    def processes(self, role: str) -> list[int]:
        """Return the processes of a role in a gate of several; none if it does not answer."""
        with suppress(OSError, ValueError, KeyError):
            found = self._get("status")["processes"]
            return [each["pid"] for each in found if each["role"] == role and each["pid"]]
        return []

    def _get(self, path: str) -> dict[str, Any]:
        found = self._listening()
        if found is None:
            raise OSError("the gate does not listen")
        with urllib.request.urlopen(f"http://{found[1]}/{path}", timeout=2) as reply:
            return dict(json.load(reply))

    def _listening(self) -> tuple[str, str] | None:
        """Return where it answers calls and status; at other ports after each start.

        From its log, or from its ready file: while the disk is full it can write neither.
        """
        found = _LISTENING.search(self.gate.log.read_text(errors="replace"))
        if found is not None:
            return found[1], found[2]
        with suppress(OSError, ValueError, KeyError):
            ready = json.loads((self.site.folder / "gate.json").read_text())
            return ready["listen"], ready["metrics"]
        return None


def _runs(pid: int) -> bool:
    """Whether a process runs: one that has ended may still be listed until it is waited for."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def nouns(world: World) -> tuple[Noun, ...]:
    """What is withdrawn and reinstated in a run."""
    both = (MODEL_CALL, BASE_CALL)
    return (
        Noun("regulator", "manifest", world.digests["manifest"], (MODEL_CALL,)),
        Noun("evaluator", "model", f"openai/{MODEL}", (MODEL_CALL,)),
        Noun("producer", "approval", world.digests["approval:customer"], (MODEL_CALL,)),
        Noun("provider", "base-model", f"openai/{BASE}", both),
        Noun("customer", "environment", ENV, both),
    )


@contextmanager
def stage(folder: Path, setup: Setup) -> Iterator[Stage]:
    """Set everything up below a folder."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        settings: dict[str, Any] = {"workers": setup.workers}
        policies = None
        if setup.opa_by_proxy:
            # A socket's path has 107 characters.
            short = stack.enter_context(tempfile.TemporaryDirectory(prefix="opa-"))
            opa = stack.enter_context(OpaServer(build_bundle(Path(short)), Path(short)))
            policies = stack.enter_context(lossy_proxy(opa.socket))
            address = f"http://127.0.0.1:{policies.port}"
            settings |= {"opa": {"address": address, "revision": REVISION}}
        site = in_the_present(folder, patch, admitted_world, **settings)
        if setup.opa_by_proxy:
            del site.settings["policies"]
            site.configure()
        if setup.own_disk:
            stack.enter_context(_disk(folder / "state"))
        wall = SteppedClock(folder / "clock") if setup.stepped_clock else None
        gate = Running(site) if wall is None else SteppedGate(site, wall)
        transport = stack.enter_context(transports.over(setup.transport, folder / "places"))
        known, subjects = Record(NEEDED), nouns(site.world)
        made = Stage(setup, site, transport, gate, known, subjects, policies, wall)
        for name in made.authorities:
            made.publish(name)
            made.forks[name] = _fork(folder / "forks" / name, name)
        if setup.remote_evidence:
            made.publish_evidence()
        transports.begin(transport, made.authorities)
        _configure(made)
        stack.callback(made.end)
        stack.callback(made.over.set)
        yield made


def _configure(made: Stage) -> None:
    trust = yaml.safe_load(made.site.trust.read_text())
    trust["poll_seconds"] = POLL_SECONDS
    for entry in trust["authorities"]:
        entry["source"] = made.transport.source(entry["name"])
    if made.setup.remote_evidence:
        trust["evidence"] = [made.transport.evidence()]
    made.site.trust.write_text(yaml.safe_dump(trust))


def _fork(folder: Path, name: str) -> Files:
    fork = Repository(folder, name)
    fork.publish(timestamp=99, snapshot=99, targets=99)
    return files_of(folder)


@contextmanager
def _disk(folder: Path) -> Iterator[None]:
    """Mount a small disk, where this user may; elsewhere it is the one of everything else."""
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={STATE_BYTES},mode=700", "none", str(folder)],
        capture_output=True,
        check=False,
    )
    try:
        yield
    finally:
        if made.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=True)
