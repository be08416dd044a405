"""A real installation for one run: gate, OPA, authorities, an HTTPS server, and who watches it."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
import urllib.request
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from sidecar._pb import ext_authz_pb2 as pb
from tests.chaos.editions import BASE_CALL, MODEL_CALL, QUESTIONS, Asked, Edition, Noun, Record
from tests.process.service.site import Running, Site, in_the_present
from tests.support.gate.requests import as_check_request, json_body
from tests.support.https_server import HttpsServer, serving
from tests.support.simulator.world import BASE, ENV, MODEL, World, admitted_world
from tests.unit.trust.repository import now

CHECK = "/envoy.service.auth.v3.Authorization/Check"
POLL_SECONDS = 0.2
NEEDED = {
    MODEL_CALL: ("customer", "evaluator", "producer", "provider", "regulator"),
    BASE_CALL: ("customer", "provider"),
}
LIFE = timedelta(hours=1)
_METRICS = re.compile(r"metrics on (\S+)\n")


@dataclass
class Stage:
    """One run's installation; ``clock()`` is its time, in seconds since it began.

    Attributes:
        copies: Authority → a copy of its repository for each edition.
        withdrawn: What is withdrawn now.
    """

    site: Site
    server: HttpsServer
    gate: Running
    record: Record
    nouns: tuple[Noun, ...]
    copies: dict[str, list[Path]] = field(default_factory=dict)
    withdrawn: set[Noun] = field(default_factory=set)
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
        self.site.publish(party)
        at = self.clock()
        ends = frozenset(question for noun in own for question in noun.ends)
        version = repository.versions["timestamp"]
        self.record.publish(authority, Edition(version, at, at + left, ends))
        copy = self.site.folder / "copies" / authority / str(version)
        shutil.copytree(repository.folder, copy)
        self.copies.setdefault(authority, []).append(copy)

    def launch(self) -> None:
        """Start the gate, and wait for nothing."""
        self.gate.spawn()

    @property
    def running(self) -> bool:
        child = self.gate._child
        return child is not None and child.poll() is None

    def kill(self) -> None:
        """End the gate as ``kill -9`` does, and with it the OPA that it would have ended."""
        if self.running:
            self.gate._started().kill()
            self.gate._started().wait(10)

    def watch(self) -> Iterator[threading.Thread]:
        """Yield threads that ask the gate all the time, and look at what it has in force."""
        yield threading.Thread(target=self._ask, daemon=True)
        yield threading.Thread(target=self._look, daemon=True)

    def _ask(self) -> None:
        messages = {
            MODEL_CALL: json_body(model=MODEL),
            BASE_CALL: json_body(model=BASE),
        }
        target = f"unix:{self.site.folder / 'gate.sock'}"
        number = 0
        while not self.over.is_set():
            with grpc.insecure_channel(target) as channel:
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
        found = _METRICS.search(self.gate.log.read_text(errors="replace"))
        if found is None:
            return {}
        with urllib.request.urlopen(f"http://{found[1]}/status/signed", timeout=2) as reply:
            envelope = json.load(reply)
        statement = json.loads(b64decode(envelope["payload"]))
        return {each["name"]: each["version"] for each in statement["authorities"]}


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
def stage(folder: Path) -> Iterator[Stage]:
    """Set everything up in a folder whose name is short, since a socket is in it."""
    with pytest.MonkeyPatch.context() as patch, serving(folder) as server:
        site = in_the_present(
            folder, patch, admitted_world, listen=f"unix://{folder / 'gate.sock'}"
        )
        server.folder = folder / "repositories"
        trust = yaml.safe_load(site.trust.read_text())
        trust["poll_seconds"] = POLL_SECONDS
        for entry in trust["authorities"]:
            entry["source"] = {"url": f"{server.url}/{entry['name']}", "ca": str(server.ca)}
        site.trust.write_text(yaml.safe_dump(trust))
        made = Stage(site, server, Running(site), Record(NEEDED), nouns(site.world))
        for name in made.authorities:
            made.publish(name)
        try:
            yield made
        finally:
            made.over.set()
            server.behave()
            made.kill()
