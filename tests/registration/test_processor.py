"""The processor on a port, spoken to as Envoy does, and as somebody who is not Envoy might."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from sidecar._pb import ext_authz_pb2 as auth
from sidecar._pb import ext_proc_pb2 as pb
from sidecar._pb import ext_proc_pb2_grpc as rpc
from sidecar.core.facts import Facts
from sidecar.core.reasons import EvidenceError
from sidecar.core.verdict import Verdict
from sidecar.gate import slips
from sidecar.gate.clock import Reading
from sidecar.gate.holder import Holder
from sidecar.gate.objects import Objects
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.processor import Processor, ProcessorLimits
from sidecar.gate.slips import FIELD, GOOD_FOR, NAMESPACE, Slip
from sidecar.registry.errors import UnregisteredError
from sidecar.registry.record import Key, Registration
from sidecar.registry.store import Store
from tests.gate.bench import SETTINGS, Book
from tests.registration.stage import BOTH, lines
from tests.registration.test_files import BOUNDARY, form
from tests.registry.samples import USE, store
from tests.simulator.world import ENV, MODEL, NOW, admitted_world

SLIP = Slip(
    type="urn:admissibility:slip:v1",
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
UPLOAD = replace(SLIP, operation="files.create", creates="file", upload=True, uses=())
FULL, NONE = pb.FULL_DUPLEX_STREAMED, pb.NONE
ANSWER = json.dumps({"id": "resp_1", "object": "response"}).encode()


class Admitting:
    """A policy engine that admits, and says what it was asked about."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    async def ask(self, facts: Facts) -> Verdict:
        self.asked.append((facts.request.operation, facts.request.models))
        return Verdict(True, facts.nonce, "r", (), (), {}, 5)


@dataclass
class Desk:
    """A running processor."""

    stub: Any
    kept: Store
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
async def desk(
    folder: Path,
    *,
    limits: ProcessorLimits | None = None,
    registering: bool = True,
    reading: Reading | None = None,
) -> AsyncIterator[Desk]:
    holder, kept, book, engine = Holder(), store(folder), Book(), Admitting()
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
            yield Desk(rpc.ExternalProcessorStub(channel), kept, book, engine, processor)
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
    slip: str | None, *, body: int = NONE, answer: int = FULL, observing: bool = False
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
    if slip is not None:
        message.metadata_context.filter_metadata[NAMESPACE][FIELD] = slip
    return message


def sent(body: bytes, *, last: bool = True) -> pb.ProcessingRequest:
    return pb.ProcessingRequest(request_body=pb.HttpBody(body=body, end_of_stream=last))


def answer(body: bytes = ANSWER) -> list[pb.ProcessingRequest]:
    head = headers((":status", "200"), ("content-type", "application/json"))
    return [
        pb.ProcessingRequest(response_headers=head),
        pb.ProcessingRequest(response_body=pb.HttpBody(body=body, end_of_stream=True)),
    ]


PASSED = ["request_headers", "response_headers", f"response_body {len(ANSWER)}"]
WHOLE = [*PASSED, "response_body 0 end", "OK"]


def sealed(kept: Store, slip: Slip = SLIP) -> str:
    return slips.seal(slip, kept.key.notes)


def test_an_answer_is_registered_for_whoever_the_slip_names(tmp_path: Path) -> None:
    async def run() -> None:
        async with desk(tmp_path) as running:
            told = await running.say([request(sealed(running.kept)), *answer()])
            assert told == WHOLE
            found = running.found("resp_1")
            assert (found.environment, found.uses, found.decision) == (ENV, (USE,), "d" * 32)
            assert found.window.not_after == NOW + timedelta(days=30)

    asyncio.run(run())


def test_trailers_of_an_answer_end_it_and_go_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with desk(tmp_path) as running:
            head, body = answer()
            body.response_body.end_of_stream = False
            trailers = pb.ProcessingRequest(response_trailers=pb.HttpTrailers())
            told = await running.say([request(sealed(running.kept)), head, body, trailers])
            assert told == [*PASSED, "response_trailers", "OK"]
            assert running.found("resp_1")

    asyncio.run(run())


def _other_key(kept: Store) -> str:
    return slips.seal(SLIP, b"0" * 32)


def _other_field(kept: Store) -> str:
    payload, _, tag = sealed(kept).partition(".")
    changed = base64.b64decode(payload).replace(MODEL.encode(), b"another")
    return f"{base64.b64encode(changed).decode()}.{tag}"


def _old(kept: Store) -> str:
    return sealed(kept, replace(SLIP, issued=NOW - GOOD_FOR - timedelta(seconds=1)))


def _from_the_future(kept: Store) -> str:
    return sealed(kept, replace(SLIP, issued=NOW + timedelta(seconds=6)))


@pytest.mark.parametrize(
    "forged",
    [
        _other_key,
        _other_field,
        _old,
        _from_the_future,
        lambda _: "",
        lambda _: "x.y",
        lambda _: "e30=.\u2028",
    ],
)
def test_a_slip_that_is_not_ours_or_not_of_now_registers_nothing(
    tmp_path: Path, forged: Callable[[Store], str]
) -> None:
    async def run() -> None:
        async with desk(tmp_path) as running:
            told = await running.say([request(forged(running.kept)), *answer()])
            assert told[0] == "503 internal_error"
            with pytest.raises(UnregisteredError):
                running.found("resp_1")

    asyncio.run(run())


def test_without_a_slip_an_answer_passes_and_registers_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with desk(tmp_path) as running:
            assert await running.say([request(None), *answer()]) == WHOLE
            with pytest.raises(UnregisteredError):
                running.found("resp_1")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("first", "slip"),
    [
        ({"observing": True}, SLIP),
        ({"answer": pb.STREAMED}, SLIP),
        ({"answer": pb.BUFFERED}, SLIP),
        ({"body": pb.STREAMED}, UPLOAD),
        ({"body": pb.BUFFERED}, UPLOAD),
        ({"body": FULL}, SLIP),
        ({"body": NONE}, UPLOAD),
        ({"body": FULL}, None),
    ],
)
def test_a_route_on_which_nothing_could_be_held_back_is_refused(
    tmp_path: Path, first: dict[str, Any], slip: Slip | None
) -> None:
    async def run() -> None:
        async with desk(tmp_path) as running:
            text = None if slip is None else sealed(running.kept, slip)
            told = await running.say([request(text, **first)])
            assert told[0] == "403 unsupported_operation"

    asyncio.run(run())


def test_a_stream_that_begins_in_the_middle_shows_only_a_refusal(tmp_path: Path) -> None:
    async def run() -> None:
        async with desk(tmp_path) as running:
            assert await running.say(answer()) == [*PASSED[1:], "response_body 0 end", "OK"]
            told = await running.say([sent(b"x")])
            assert told[0] == "403 unsupported_operation"
            with pytest.raises(UnregisteredError):
                running.found("resp_1")

    asyncio.run(run())


def test_without_a_registry_everything_but_a_refusal_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with desk(tmp_path, registering=False) as running:
            assert (await running.say([request(None)]))[0] == "403 object_unregistered"
            assert (await running.say(answer()))[-1] == "OK"

    asyncio.run(run())


def test_a_batch_is_judged_once_for_each_different_call_and_accounted_for_once(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        async with desk(tmp_path) as running:
            body = form(lines(*BOTH))
            first = request(sealed(running.kept, UPLOAD), body=FULL)
            named = json.dumps({"id": "file-1", "object": "file"}).encode()
            told = await running.say([first, sent(body), *answer(named)])
            assert told == [
                *("request_headers", f"request_body {len(body)}", "request_body 0 end"),
                *("response_headers", f"response_body {len(named)}", "response_body 0 end", "OK"),
            ]
            assert [models for _, models in running.engine.asked] == [(m,) for m in BOTH[:2]]
            assert [use.models for use in running.found("file-1", "file").uses] == [
                (m,) for m in BOTH[:2]
            ]
            assert (running.book.began, len(running.book.ended)) == (1, 1)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"expires": NOW}, "401 credential_expired"),
        ({"spiffe_id": "spiffe://acme.example/env/none"}, "403 environment_unknown"),
    ],
)
def test_who_uploads_is_asked_about_when_the_file_has_come(
    tmp_path: Path, change: dict[str, Any], expected: str
) -> None:
    async def run() -> None:
        async with desk(tmp_path) as running:
            slip = sealed(running.kept, replace(UPLOAD, **change))
            told = await running.say([request(slip, body=FULL), sent(form(lines(*BOTH)))])
            assert told == [expected, "OK"]

    asyncio.run(run())


def test_a_batch_that_cannot_be_recorded_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with desk(tmp_path) as running:
            running.book.recordable = False
            slip = sealed(running.kept, UPLOAD)
            told = await running.say([request(slip, body=FULL), sent(form(lines(*BOTH)))])
            assert told == ["503 internal_error", "OK"]

    asyncio.run(run())


def test_more_streams_than_there_may_be_are_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with desk(tmp_path, limits=ProcessorLimits(max_streams=1)) as running:
            held = running.stub.Process(timeout=20)
            await held.write(request(sealed(running.kept)))
            await held.read()
            told = await running.say([request(sealed(running.kept))])
            assert told == ["503 overloaded", "OK"]
            await held.done_writing()
            assert await held.read() is grpc.aio.EOF  # type: ignore[attr-defined]  # not in the stubs
            assert (await running.say([request(sealed(running.kept))]))[0] == "request_headers"

    asyncio.run(run())


@pytest.mark.parametrize("what", ["late", "broken"])
def test_a_stream_that_fails_ends_with_an_error(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        limits = ProcessorLimits(stream_seconds=0.05 if what == "late" else 20)
        async with desk(tmp_path, limits=limits) as running:
            call = running.stub.Process(timeout=20)
            text = sealed(running.kept)
            if what == "broken":
                monkeypatch.setattr(slips, "opened", lambda *_: 1 / 0)
            await call.write(request(text))
            with contextlib.suppress(grpc.aio.AioRpcError):
                async for _ in call:
                    pass
            assert (
                await call.details()
                == {
                    "late": "the stream took too long",
                    "broken": "the gate failed",
                }[what]
            )

    asyncio.run(run())


def test_what_is_held_is_given_back_however_a_stream_ends(tmp_path: Path) -> None:
    async def run() -> None:
        async with desk(tmp_path) as running:
            before = running.processor.budget.left
            call = running.stub.Process(timeout=20)
            await call.write(request(sealed(running.kept, UPLOAD), body=FULL))
            await call.write(sent(form(lines(*BOTH))[:-9], last=False))
            await settled(lambda: running.processor.budget.left < before)
            call.cancel()
            await settled(lambda: running.processor.budget.left == before)
            assert await running.say([request(sealed(running.kept)), *answer()]) == WHOLE

    asyncio.run(run())


def test_a_slip_says_what_was_sealed(tmp_path: Path) -> None:
    key = store(tmp_path).key.notes
    late: datetime = NOW + GOOD_FOR
    assert slips.opened(slips.seal(UPLOAD, key), key, late) == UPLOAD
    with pytest.raises(EvidenceError, match="not of the last seconds"):
        slips.opened(slips.seal(UPLOAD, key), key, late + timedelta(microseconds=1))
