"""A real gate in this process: grpc.aio on a port of the kernel's choice, at a fixed time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from sidecar._pb import ext_authz_pb2 as pb
from sidecar._pb import ext_authz_pb2_grpc as rpc
from sidecar.core.facts import Facts
from sidecar.core.verdict import Verdict
from sidecar.gate.authorization import Authorization, Limits
from sidecar.gate.clock import Reading
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.server import GateServer
from sidecar.gate.settings import Settings
from sidecar.gate.snapshot_holder import SnapshotHolder
from sidecar.observe.decision_record import line
from sidecar.observe.outcome import LeasedOutcome, Outcome
from sidecar.opa.client import PolicyEngine
from tests.support.gate.requests import HEADER
from tests.support.simulator.constants import NOW
from tests.support.simulator.svid import AUDIENCE, Issuer
from tests.support.simulator.world import World, admitted_world

SETTINGS = Settings(AUDIENCE, HEADER, 1 << 16)


@dataclass
class Book:
    """An observer that keeps everything."""

    recordable: bool = True
    began: int = 0
    ended: list[Outcome | None] = field(default_factory=list)
    leased: list[LeasedOutcome] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def ready(self) -> bool:
        return self.recordable

    def begin(self) -> None:
        self.began += 1

    async def record(self, outcome: Outcome | LeasedOutcome) -> bool:
        return self.recordable

    def end(self, outcome: Outcome | LeasedOutcome | None) -> None:
        if isinstance(outcome, LeasedOutcome):
            self.leased.append(outcome)
            outcome = outcome.whole()
        elif outcome is not None and outcome.shared is not None:
            # What the real observer fills when it records the first decision of a lease.
            line(outcome)
            outcome.shared.counters = (None,)
        self.ended.append(outcome)
        self.over.set()


class Stuck:
    """A policy engine that answers only when it is let go."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.free = asyncio.Event()

    def identity(self) -> None:
        return None

    async def ask(self, facts: Facts) -> Verdict:
        self.asked.set()
        await self.free.wait()
        raise RuntimeError("let go")


class Broken:
    """A policy engine in which something unforeseen happens."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def identity(self) -> None:
        return None

    async def ask(self, facts: Facts) -> Verdict:
        raise self.error


@dataclass
class Gate:
    """A running gate and what it was made from."""

    stub: Any
    channel: grpc.aio.Channel
    server: GateServer
    holder: SnapshotHolder
    book: Book
    world: World
    issuer: Issuer

    async def ask(self, message: pb.CheckRequest) -> pb.CheckResponse:
        reply: pb.CheckResponse = await self.stub.Check(message, timeout=20)
        return reply


def reason_of(reply: pb.CheckResponse) -> str:
    """The reason code of a denial, after a look at its form; ``admitted`` for an allow."""
    if reply.status.code == 0:
        assert reply.WhichOneof("http_response") == "ok_response"
        return "admitted"
    headers = {h.header.key: h.header.value for h in reply.denied_response.headers}
    error = json.loads(reply.denied_response.body)["error"]
    assert headers["x-admissibility-reason"] == error["code"] == reply.status.message
    assert reply.denied_response.status.code in {400, 401, 403, 413, 415, 503}
    return str(error["code"])


@asynccontextmanager
async def running(
    engine: PolicyEngine,
    *,
    pipeline: Pipeline | None = None,
    deadline: float = 20.0,
    max_concurrent: int = 64,
    published: bool = True,
    book: Book | None = None,
    clock: Callable[[], Reading] | None = None,
) -> AsyncIterator[Gate]:
    """A gate over an admitted world, asking ``engine``."""
    world, issuer, holder = admitted_world(), Issuer(), SnapshotHolder()
    world.parties["customer"].trust_domains = [issuer.document(NOW)]
    if published:
        holder.publish(world.state())
    book = book or Book()
    service = Authorization(
        pipeline or Pipeline(SETTINGS, holder, engine),
        Limits(deadline, max_concurrent),
        book,
        clock=clock or (lambda: Reading(NOW)),
    )
    server = GateServer(service, max_body_bytes=SETTINGS.max_body_bytes, reuse_port=False)
    port = await server.start("127.0.0.1:0")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            stub = rpc.AuthorizationStub(channel)
            yield Gate(stub, channel, server, holder, book, world, issuer)
        finally:
            await server.stop(0)
