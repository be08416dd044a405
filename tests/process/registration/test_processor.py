"""The processor on a port, spoken to as Envoy does, and as somebody who is not Envoy might."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from sidecar._pb import ext_proc_pb2 as pb
from sidecar.core.reasons import EvidenceError
from sidecar.ext_proc.processor import ProcessorLimits
from sidecar.registry import objects, tickets
from sidecar.registry.errors import UnregisteredError
from sidecar.registry.store import RegistrationStore
from sidecar.registry.tickets import GOOD_FOR, AdmissionTicket
from tests.process.registration.decisions import (
    ANSWER,
    FULL,
    NONE,
    TICKET,
    UPLOAD,
    answer,
    decisions,
    request,
    sealed,
    sent,
    settled,
)
from tests.process.registration.forms import form
from tests.process.registration.stage import BOTH, lines
from tests.support.simulator.constants import ENV, MODEL, NOW
from tests.unit.registry.samples import USE, store

PASSED = ["request_headers", "response_headers", f"response_body {len(ANSWER)}"]
WHOLE = [*PASSED, "response_body 0 end", "OK"]


def test_an_answer_is_registered_for_whoever_the_ticket_names(tmp_path: Path) -> None:
    async def run() -> None:
        async with decisions(tmp_path) as running:
            told = await running.say([request(sealed(running.kept)), *answer()])
            assert told == WHOLE
            found = running.found("resp_1")
            assert (found.environment, found.uses, found.decision) == (ENV, (USE,), "d" * 32)
            assert found.window.not_after == NOW + timedelta(days=30)

    asyncio.run(run())


def test_trailers_of_an_answer_end_it_and_go_on(tmp_path: Path) -> None:
    async def run() -> None:
        async with decisions(tmp_path) as running:
            head, body = answer()
            body.response_body.end_of_stream = False
            trailers = pb.ProcessingRequest(response_trailers=pb.HttpTrailers())
            told = await running.say([request(sealed(running.kept)), head, body, trailers])
            assert told == [*PASSED, "response_trailers", "OK"]
            assert running.found("resp_1")

    asyncio.run(run())


def _other_key(kept: RegistrationStore) -> str:
    return tickets.sign(TICKET, b"0" * 32)


def _other_field(kept: RegistrationStore) -> str:
    payload, _, tag = sealed(kept).partition(".")
    changed = base64.b64decode(payload).replace(MODEL.encode(), b"another")
    return f"{base64.b64encode(changed).decode()}.{tag}"


def _old(kept: RegistrationStore) -> str:
    return sealed(kept, replace(TICKET, issued=NOW - GOOD_FOR - timedelta(seconds=1)))


def _from_the_future(kept: RegistrationStore) -> str:
    return sealed(kept, replace(TICKET, issued=NOW + timedelta(seconds=6)))


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
def test_a_ticket_that_is_not_ours_or_not_of_now_registers_nothing(
    tmp_path: Path, forged: Callable[[RegistrationStore], str]
) -> None:
    async def run() -> None:
        async with decisions(tmp_path) as running:
            told = await running.say([request(forged(running.kept)), *answer()])
            assert told[0] == "503 internal_error"
            with pytest.raises(UnregisteredError):
                running.found("resp_1")

    asyncio.run(run())


def test_without_a_ticket_an_answer_passes_and_registers_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with decisions(tmp_path) as running:
            assert await running.say([request(None), *answer()]) == WHOLE
            with pytest.raises(UnregisteredError):
                running.found("resp_1")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("first", "ticket"),
    [
        ({"observing": True}, TICKET),
        ({"answer": pb.STREAMED}, TICKET),
        ({"answer": pb.BUFFERED}, TICKET),
        ({"body": pb.STREAMED}, UPLOAD),
        ({"body": pb.BUFFERED}, UPLOAD),
        ({"body": FULL}, TICKET),
        ({"body": NONE}, UPLOAD),
        ({"body": FULL}, None),
    ],
)
def test_a_route_on_which_nothing_could_be_held_back_is_refused(
    tmp_path: Path, first: dict[str, Any], ticket: AdmissionTicket | None
) -> None:
    async def run() -> None:
        async with decisions(tmp_path) as running:
            text = None if ticket is None else sealed(running.kept, ticket)
            told = await running.say([request(text, **first)])
            assert told[0] == "403 unsupported_operation"

    asyncio.run(run())


def test_a_stream_that_begins_in_the_middle_shows_only_a_refusal(tmp_path: Path) -> None:
    async def run() -> None:
        async with decisions(tmp_path) as running:
            assert await running.say(answer()) == [*PASSED[1:], "response_body 0 end", "OK"]
            told = await running.say([sent(b"x")])
            assert told[0] == "403 unsupported_operation"
            with pytest.raises(UnregisteredError):
                running.found("resp_1")

    asyncio.run(run())


def test_without_a_registry_everything_but_a_refusal_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with decisions(tmp_path, registering=False) as running:
            assert (await running.say([request(None)]))[0] == "403 object_unregistered"
            assert (await running.say(answer()))[-1] == "OK"

    asyncio.run(run())


def test_a_batch_is_judged_once_for_each_different_call_and_accounted_for_once(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        async with decisions(tmp_path) as running:
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
            (outcome,) = running.book.ended
            assert outcome is not None
            assert [
                (facts.request.models, each.decision is not None and each.decision.allowed)
                for each in outcome.asked
                for facts in each.facts
            ] == [((m,), True) for m in BOTH[:2]]

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
        async with decisions(tmp_path) as running:
            ticket = sealed(running.kept, replace(UPLOAD, **change))
            told = await running.say([request(ticket, body=FULL), sent(form(lines(*BOTH)))])
            assert told == [expected, "OK"]

    asyncio.run(run())


def test_a_batch_that_cannot_be_recorded_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with decisions(tmp_path) as running:
            running.book.recordable = False
            ticket = sealed(running.kept, UPLOAD)
            told = await running.say([request(ticket, body=FULL), sent(form(lines(*BOTH)))])
            assert told == ["503 internal_error", "OK"]

    asyncio.run(run())


def test_more_streams_than_there_may_be_are_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with decisions(tmp_path, limits=ProcessorLimits(max_streams=1)) as running:
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
        async with decisions(tmp_path, limits=limits) as running:
            call = running.stub.Process(timeout=20)
            text = sealed(running.kept)
            if what == "broken":
                monkeypatch.setattr(objects, "verify", lambda *_: 1 / 0)
            # The stream may be over before anything was written to it.
            with contextlib.suppress(asyncio.InvalidStateError, grpc.aio.AioRpcError):
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
        async with decisions(tmp_path) as running:
            before = running.processor.budget.left
            call = running.stub.Process(timeout=20)
            await call.write(request(sealed(running.kept, UPLOAD), body=FULL))
            await call.write(sent(form(lines(*BOTH))[:-9], last=False))
            await settled(lambda: running.processor.budget.left < before)
            call.cancel()
            await settled(lambda: running.processor.budget.left == before)
            assert await running.say([request(sealed(running.kept)), *answer()]) == WHOLE

    asyncio.run(run())


def test_a_ticket_says_what_was_sealed(tmp_path: Path) -> None:
    key = store(tmp_path).key.ticket_key
    late: datetime = NOW + GOOD_FOR
    assert tickets.verify(tickets.sign(UPLOAD, key), key, late) == UPLOAD
    with pytest.raises(EvidenceError, match="issued too long ago"):
        tickets.verify(tickets.sign(UPLOAD, key), key, late + timedelta(microseconds=1))
