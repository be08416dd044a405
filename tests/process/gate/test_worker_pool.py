"""Large bodies are read elsewhere: with the same result, and whatever becomes of the reader."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.batch_lines import MAX_LINES, Block, BlockCalls, read_block
from sidecar.extract.extractor import ExtractOptions
from sidecar.extract.parsed_request import (
    THRESHOLD,
    LargeMessage,
    ParsedRequest,
    ReadOptions,
    Refusal,
    parse,
)
from sidecar.gate.in_flight_limiter import InFlightLimiter
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.worker_pool import BLOCK_THRESHOLD, WorkerPool
from tests.support.gate.bench import SETTINGS, Broken, Gate, reason_of, running
from tests.support.gate.requests import HEADER, as_check_request, json_body
from tests.support.simulator.constants import ENV, NOW
from tests.support.site.processes import stop

MAX_BYTES = 20 << 20
TERMS = ReadOptions(HEADER, ExtractOptions(MAX_BYTES))
FAILED = (Reason.INTERNAL_ERROR, "the process that parses large bodies failed")
Outcome = ParsedRequest | Refusal


def question(body: bytes, **changes: Any) -> LargeMessage:
    return LargeMessage(as_check_request(body=body, **changes).SerializeToString())


def large(size: int = THRESHOLD, **changes: Any) -> LargeMessage:
    return question(json.dumps({"model": "m", "user": "x" * size, **changes}).encode())


@asynccontextmanager
async def readers(number: int = 1, **limits: Any) -> AsyncIterator[WorkerPool]:
    workers = WorkerPool(number, **limits)
    await workers.start()
    try:
        await asyncio.gather(*(workers(large(), TERMS) for _ in range(number)))
        assert len(workers.pids) == number
        yield workers
    finally:
        for pid in workers.pids:
            os.kill(pid, signal.SIGCONT)
        await workers.close()
        assert workers.pids == frozenset()


async def outcome(workers: WorkerPool, asked: LargeMessage) -> Outcome:
    try:
        return await workers(asked, TERMS)
    except AdmissibilityError as error:
        return error.reason, error.message


def here(asked: LargeMessage) -> ParsedRequest:
    return parse(pb.CheckRequest.FromString(asked.data), TERMS)


def test_a_large_body_is_read_as_it_would_be_here() -> None:
    asked = [
        large(),
        large(model="other", stream=True, modalities=["text"], tools=[{"type": "x", "model": "t"}]),
        large(MAX_BYTES - 100),
        large(MAX_BYTES),
        large(model="a b"),
        large(Model="x"),
        question(b"[" * THRESHOLD * 2),
        question(b"\xff" * THRESHOLD * 2),
        large(previous_response_id="r"),
        question(b"x" * THRESHOLD, headers=[("host", "other")]),
    ]

    async def story() -> list[Outcome]:
        async with readers(2) as workers:
            return list(await asyncio.gather(*(outcome(workers, each) for each in asked)))

    found = asyncio.run(story())
    assert found == [here(each) for each in asked]
    told = [each for each in found if isinstance(each, ParsedRequest)]
    assert [isinstance(each.outcome, Call) for each in told] == [
        *(True, True, True, False, False, False, False, False, True, False)
    ]
    assert [each.request is None for each in told] == [*[False] * 9, True]
    assert {each.request.raw_body for each in told if each.request is not None} == {b""}


def test_workers_beyond_the_first_start_when_as_many_bodies_come_at_once() -> None:
    async def story() -> list[int]:
        workers, counts = WorkerPool(3), []
        await workers.start()
        try:
            for bodies in (0, 1, 1, 2, 1, 2):
                await asyncio.gather(*(workers(large(), TERMS) for _ in range(bodies)))
                counts.append(len(workers.pids))
        finally:
            await workers.close()
        return counts

    assert asyncio.run(story()) == [1, 1, 1, 2, 2, 2]


def test_a_body_that_came_as_text_is_read_as_well() -> None:
    text = json.dumps({"model": "m", "user": "é" * THRESHOLD}, ensure_ascii=False)
    asked = question(b"", text_body=text)

    async def story() -> Outcome:
        async with readers() as workers:
            return await outcome(workers, asked)

    found = asyncio.run(story())
    assert found == here(asked)
    assert here(asked).outcome == Call("openai", "chat.completions", ("m",))


def test_a_reader_that_is_killed_denies_its_request_and_is_replaced(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> tuple[Outcome, Outcome, bool]:
        async with readers() as workers:
            (pid,) = workers.pids
            stop(pid)
            waiting = asyncio.create_task(outcome(workers, large(1 << 20)))
            await asyncio.sleep(0)
            os.kill(pid, signal.SIGKILL)
            killed = await waiting
            return killed, await outcome(workers, large()), pid in workers.pids

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(story()) == (FAILED, here(large()), False)
    assert caplog.text.count("a worker for large bodies is replaced") == 1


def test_a_reader_that_ended_while_idle_costs_nobody_anything() -> None:
    async def story() -> Outcome:
        async with readers() as workers:
            (pid,) = workers.pids
            os.kill(pid, signal.SIGKILL)
            while pid in workers.pids:  # noqa: ASYNC110 - the kernel tells nobody else
                await asyncio.sleep(0.01)
            return await outcome(workers, large())

    assert asyncio.run(story()) == here(large())


def test_a_reader_that_stalls_is_given_up_and_replaced() -> None:
    async def story() -> tuple[Outcome, Outcome]:
        async with readers(read_seconds=3.0) as workers:
            (pid,) = workers.pids
            stop(pid)
            stalled = await outcome(workers, large(4 << 20))
            return stalled, await outcome(workers, large())

    assert asyncio.run(story()) == (FAILED, here(large()))


def test_a_request_that_is_given_up_does_not_leave_its_answer_to_the_next() -> None:
    async def story() -> Outcome:
        async with readers() as workers:
            (pid,) = workers.pids
            stop(pid)
            for model in ("first", "second"):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await workers(large(model=model), TERMS)
            os.kill(pid, signal.SIGCONT)
            return await outcome(workers, large(model="third"))

    assert asyncio.run(story()) == here(large(model="third"))


def test_what_waits_for_a_reader_is_bounded() -> None:
    async def story() -> list[Outcome]:
        async with readers(max_waiting=2) as workers:
            (pid,) = workers.pids
            stop(pid)
            asked = [asyncio.create_task(outcome(workers, large())) for _ in range(4)]
            refused = await asked[3]
            assert [task.done() for task in asked] == [False, False, False, True]
            os.kill(pid, signal.SIGCONT)
            return [refused, *await asyncio.gather(*asked[:3])]

    overloaded = (Reason.OVERLOADED, "2 large request bodies already wait; try again later")
    assert asyncio.run(story()) == [overloaded, *[here(large())] * 3]


def test_a_reader_ends_with_its_gate() -> None:
    program = [sys.executable, "-P", "-m", "sidecar.gate.worker"]
    child = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    said, _ = child.communicate(timeout=20)
    assert (said, child.returncode) == (b"", 0)


def test_a_worker_imports_only_what_parsing_needs() -> None:
    """There are several beside each gate: what they import is paid for in memory, and at start."""
    program = "import sys, sidecar.gate.worker; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert {b"pydantic", b"cryptography", b"grpc", b"asyncio"} & set(loaded.stdout.split()) == set()


def test_readers_leave_the_processor_to_the_gate() -> None:
    async def story() -> int:
        async with readers() as workers:
            await outcome(workers, large())
            (pid,) = workers.pids
            return os.getpriority(os.PRIO_PROCESS, pid)

    assert asyncio.run(story()) > os.getpriority(os.PRIO_PROCESS, 0)


# ---- in the gate ---------------------------------------------------------------------------------


@asynccontextmanager
async def gated(in_flight: InFlightLimiter) -> AsyncIterator[tuple[Gate, int, str]]:
    """A gate with one reader, that reader's process id, and a credential."""
    async with readers() as workers, running(Broken(RuntimeError())) as first:
        settings = replace(SETTINGS, max_body_bytes=1 << 20)
        pipeline = Pipeline(settings, first.holder, Broken(RuntimeError()), workers, in_flight)
        async with running(Broken(RuntimeError()), pipeline=pipeline) as gate:
            (pid,) = workers.pids
            yield gate, pid, first.issuer.jwt_svid(ENV, NOW)


def test_small_requests_do_not_wait_behind_a_large_one() -> None:
    async def story() -> list[str]:
        async with gated(InFlightLimiter(1 << 20)) as (gate, pid, token):
            small = as_check_request(body=json_body(model="a b"), credential=token)
            body = json_body(model="a b", user="x" * THRESHOLD)
            stop(pid)
            waiting = asyncio.create_task(gate.ask(as_check_request(body=body, credential=token)))
            found = [reason_of(await gate.ask(small)) for _ in range(3)]
            assert not waiting.done()
            os.kill(pid, signal.SIGCONT)
            return [*found, reason_of(await waiting)]

    assert asyncio.run(story()) == ["malformed_request"] * 4


def test_a_refused_large_body_is_reported_like_a_small_one() -> None:
    async def story() -> list[tuple[str, str, str, str, list[str]]]:
        async with gated(InFlightLimiter(1 << 20)) as (gate, _, token):
            for more in (0, THRESHOLD):
                body = json_body(model="a b", user="x" * more)
                await gate.ask(as_check_request(body=body, credential=token))
            return [
                (each.decision.reason, each.provider, each.method, each.path, list(each.stages))
                for each in gate.book.ended
                if each is not None
            ]

    small, large_one = asyncio.run(story())
    assert small == large_one
    assert large_one[:4] == ("malformed_request", "openai", "POST", "/v1/chat/completions")


def test_bodies_beyond_the_room_for_them_are_overload_until_there_is_room() -> None:
    async def story() -> list[str]:
        async with gated(InFlightLimiter(3 * (THRESHOLD + 3000))) as (gate, pid, token):
            body = json_body(model="a b", user="x" * (THRESHOLD - 1000))
            message = as_check_request(body=body + b" " * 1500, credential=token)
            stop(pid)
            asked = [asyncio.create_task(gate.ask(message)) for _ in range(4)]
            done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            os.kill(pid, signal.SIGCONT)
            rest = await asyncio.gather(*asked)
            again = await gate.ask(message)
            return [
                *(reason_of(task.result()) for task in done),
                *map(reason_of, [*rest, again]),
            ]

    found = asyncio.run(story())
    assert (found[0], sorted(found[1:])) == (
        "overloaded",
        ["malformed_request"] * 4 + ["overloaded"],
    )


# ---- batch files ---------------------------------------------------------------------------------


def block(*models: str, first: int = 1) -> Block:
    line = {"custom_id": "c", "method": "POST", "url": "/v1/chat/completions"}
    texts = [json.dumps({**line, "body": {"model": model}}) for model in models]
    return Block("openai", "openai", first, "\n".join(texts).encode() + b"\n" * BLOCK_THRESHOLD)


def test_lines_are_read_as_they_would_be_here() -> None:
    asked = [block("m", "n", "m"), block("m", "a b", "n", first=7), block("m", first=MAX_LINES)]

    async def story() -> list[BlockCalls]:
        async with readers(2) as workers:
            return [await workers.lines(each) for each in asked]

    found = asyncio.run(story())
    assert found == [read_block(each) for each in asked]
    assert [list(each.calls.values()) for each in found] == [[1, 2], [7], [MAX_LINES]]
    assert [each.refused and each.refused[1][:7] for each in found] == [None, "line 8 ", "the bat"]


def test_batch_files_leave_a_reader_to_bodies() -> None:
    async def story() -> tuple[bool, int, Outcome]:
        async with readers(2, read_seconds=60.0) as workers:
            one, other = workers.pids
            for pid in (one, other):
                stop(pid)
            blocks = [asyncio.create_task(workers.lines(block("m"))) for _ in range(3)]
            body = asyncio.create_task(outcome(workers, large()))
            os.kill(one, signal.SIGCONT)
            every = asyncio.create_task(asyncio.wait(blocks))
            while not (body.done() or every.done()):  # noqa: ASYNC110 - one of two, of two kinds
                await asyncio.sleep(0.005)
            came = body.done(), sum(task.done() for task in blocks)
            os.kill(other, signal.SIGCONT)
            await every
            return *came, await body

    *came, found = asyncio.run(story())
    # Whichever of the two goes on has the body and no block, or all the blocks and no body.
    assert (tuple(came) in {(True, 0), (False, 3)}, found) == (True, here(large()))


def test_a_reader_that_is_killed_over_a_batch_file_refuses_it() -> None:
    async def story() -> tuple[tuple[Reason, str], BlockCalls]:
        async with readers() as workers:
            (pid,) = workers.pids
            stop(pid)
            waiting = asyncio.create_task(workers.lines(block("m")))
            await asyncio.sleep(0)
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(AdmissibilityError) as caught:
                await waiting
            return (caught.value.reason, caught.value.message), await workers.lines(block("n"))

    assert asyncio.run(story()) == (FAILED, read_block(block("n")))
