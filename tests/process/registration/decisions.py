"""A processor on a port, at a fixed time, and the messages in which Envoy speaks to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc

from sidecar._pb import ext_authz_pb2 as auth
from sidecar._pb import ext_proc_pb2 as pb
from sidecar._pb import ext_proc_pb2_grpc as rpc
from sidecar.core.facts import Facts
from sidecar.core.verdict import Verdict
from sidecar.ext_proc.processor import Processor, ProcessorLimits
from sidecar.gate.clock import Reading
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.snapshot_holder import SnapshotHolder
from sidecar.registry import tickets
from sidecar.registry.objects import Objects
from sidecar.registry.record import Key, Registration
from sidecar.registry.store import RegistrationStore
from sidecar.registry.tickets import FIELD, NAMESPACE, AdmissionTicket
from tests.process.registration.forms import BOUNDARY
from tests.support.gate.bench import SETTINGS, Book
from tests.support.simulator.constants import ENV, NOW
from tests.support.simulator.world import admitted_world
from tests.unit.registry.samples import USE, store

TICKET = AdmissionTicket(
    type="urn:admissibility:ticket:v1",
    provider="openai",
    api="openai",
    operation="responses",
    creates="response",
    upload=False,
    uses=(USE,),
    spiffe_id=ENV,
    trust_domain="acme.example",
    credential="jwt-svid",
    expires=NOW + timedelta(hours=1),
    authority="customer",
    decision="d" * 32,
    issued=NOW,
)
UPLOAD = replace(TICKET, operation="files.create", creates="file", upload=True, uses=())
FULL, NONE = pb.FULL_DUPLEX_STREAMED, pb.NONE
ANSWER = json.dumps({"id": "resp_1", "object": "response"}).encode()


class Admitting:
    """A policy engine that admits, and says what it was asked about."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def identity(self) -> None:
        return None

    async def ask(self, facts: Facts) -> Verdict:
        self.asked.append((facts.request.operation, facts.request.models))
        return Verdict(True, facts.nonce, "r", (), (), {}, 5)


@dataclass
class Decisions:
    """A running processor."""

    stub: Any
    kept: RegistrationStore
    book: Book
    engine: Admitting
    processor: Processor
    refusals: list[pb.ImmediateResponse] = field(default_factory=list)

    async def say(self, messages: Iterable[pb.ProcessingRequest]) -> list[str]:
        """What is answered to a whole conversation; the last word is how it ended."""
        call = self.stub.Process(timeout=20)
        # A refusal may come in between.
        with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
            for message in messages:
                await call.write(message)
            await call.done_writing()
        told = []
        async for answer in call:
            told.append(word(answer))
            if answer.WhichOneof("response") == "immediate_response":
                self.refusals.append(answer.immediate_response)
        return [*told, (await call.code()).name]

    def found(self, name: str, kind: str = "response") -> Registration:
        return self.kept.find(Key("openai", "openai", kind, name), ENV, NOW)


def word(answer: pb.ProcessingResponse) -> str:
    """One answer in a word."""
    kind = answer.WhichOneof("response")
    if kind == "immediate_response":
        error = json.loads(answer.immediate_response.body)["error"]
        return f"{answer.immediate_response.status.code} {error['code']}"
    if kind in {"request_body", "response_body"}:
        streamed = getattr(answer, kind).response.body_mutation.streamed_response
        return f"{kind} {len(streamed.body)}{' end' if streamed.end_of_stream else ''}"
    return str(kind)


@asynccontextmanager
async def decisions(
    folder: Path,
    *,
    limits: ProcessorLimits | None = None,
    registering: bool = True,
    reading: Reading | None = None,
) -> AsyncIterator[Decisions]:
    holder, kept, book, engine = SnapshotHolder(), store(folder), Book(), Admitting()
    holder.publish(admitted_world().state())
    objects = Objects(kept, timedelta(days=30)) if registering else None
    pipeline = Pipeline(SETTINGS, holder, engine, objects=objects)
    processor = Processor(pipeline, book, limits, clock=lambda: reading or Reading(NOW))
    server = grpc.aio.server()
    rpc.add_ExternalProcessorServicer_to_server(processor, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            yield Decisions(rpc.ExternalProcessorStub(channel), kept, book, engine, processor)
        finally:
            await server.stop(0)
            if objects is not None:
                objects.close()


async def settled(done: Callable[[], bool]) -> None:
    """Give the other side its turns until something has happened there."""
    async with asyncio.timeout(20):
        while not done():  # noqa: ASYNC110 - a number is looked at; nobody tells of its changes
            await asyncio.sleep(0.005)


def headers(*lines: tuple[str, str]) -> pb.HttpHeaders:
    return pb.HttpHeaders(
        headers=auth.HeaderMap(
            headers=[auth.HeaderValue(key=k, raw_value=v.encode()) for k, v in lines]
        )
    )


def request(
    ticket: str | None, *, body: int = NONE, answer: int = FULL, observing: bool = False
) -> pb.ProcessingRequest:
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    message = pb.ProcessingRequest(
        request_headers=headers(
            (":method", "POST"),
            (":path", "/v1/x?q=1"),
            ("content-type", kind),
            ("x-request-id", "request-1"),
        ),
        observability_mode=observing,
        protocol_config=pb.ProtocolConfiguration(
            request_body_mode=pb.BodySendMode.Name(body),
            response_body_mode=pb.BodySendMode.Name(answer),
        ),
    )
    if ticket is not None:
        message.metadata_context.filter_metadata[NAMESPACE][FIELD] = ticket
    return message


def sent(body: bytes, *, last: bool = True) -> pb.ProcessingRequest:
    return pb.ProcessingRequest(request_body=pb.HttpBody(body=body, end_of_stream=last))


def answer(body: bytes = ANSWER) -> list[pb.ProcessingRequest]:
    head = headers((":status", "200"), ("content-type", "application/json"))
    return [
        pb.ProcessingRequest(response_headers=head),
        pb.ProcessingRequest(response_body=pb.HttpBody(body=body, end_of_stream=True)),
    ]


def sealed(kept: RegistrationStore, ticket: AdmissionTicket = TICKET) -> str:
    return tickets.sign(ticket, kept.key.ticket_key)
