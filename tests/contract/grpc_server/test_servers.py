"""Both servers answer alike: calls of each form, failures, cancellation, and the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest

from tests.contract.grpc_server.service import LARGEST, SERVERS, Served, served, status

Story = Callable[[Served], Awaitable[Any]]


@pytest.fixture(params=list(SERVERS))
def run(request: pytest.FixtureRequest) -> Callable[[Story], Any]:
    """Run a story on each of the servers."""

    def on_it(story: Story) -> Any:
        async def main() -> Any:
            async with served(request.param) as it, asyncio.timeout(30):
                return await story(it)

        return asyncio.run(main())

    return on_it


def test_a_call_is_answered_with_what_its_method_returns(run: Callable[[Story], Any]) -> None:
    async def story(it: Served) -> Any:
        return [
            await it.unary(b"reverse abc"),
            await it.unary(b"reverse abc", method="Strict"),
            await it.unary(b"metadata", metadata=(("x-test", "one"),)),
            await it.unary(b"time"),
            0 < float(await it.unary(b"time", timeout=9)) <= 10,
            await asyncio.gather(*(it.unary(b"reverse %d" % n) for n in range(500))),
        ]

    numbers = [str(n).encode()[::-1] for n in range(500)]
    assert run(story) == [b"cba", b"cba!", b"one", b"None", True, numbers]


def test_a_failure_is_a_status_without_its_cause_and_the_next_call_is_answered(
    run: Callable[[Story], Any],
) -> None:
    async def story(it: Served) -> Any:
        found: list[Any] = [
            await status(it.unary(b"abort")),
            await status(it.unary(b"x", method="Nothing")),
            (await status(it.unary(b"reverse " + b"x" * LARGEST)))[0],
        ]
        for request, method in ((b"raise", "Unary"), (b"\xff", "Strict"), (b"none", "Strict")):
            code, details = await status(it.unary(request, method=method))
            found.append((code, "secret" in details and method == "Strict"))
        return [*found, await it.unary(b"reverse ab")]

    assert run(story)[:1] == [("NOT_FOUND", "nothing of that name")]
    code, _ = run(story)[1]
    assert code == "UNIMPLEMENTED"
    failed = ["RESOURCE_EXHAUSTED", *[("UNKNOWN", False)] * 3, b"ba"]
    assert run(story)[2:] == failed


def test_a_call_that_its_client_gives_up_is_cancelled(run: Callable[[Story], Any]) -> None:
    async def story(it: Served) -> Any:
        call = it.unary(b"wait")
        await it.service.entered.wait()
        call.cancel()
        await it.service.saw(1)
        late = await status(it.unary(b"wait", timeout=0.2))
        await it.service.saw(2)
        return late[0], it.service.seen

    assert run(story) == ("DEADLINE_EXCEEDED", ["cancelled", "cancelled"])


def test_a_stream_ends_when_its_client_does(run: Callable[[Story], Any]) -> None:
    async def story(it: Served) -> Any:
        call = it.both()
        answers = []
        for message in (b"abc", b"", b"x" * (LARGEST // 2) + b"y"):
            await call.write(message)
            answers.append(await call.read())
        await call.done_writing()
        over = await call.read() == grpc.aio.EOF  # type: ignore[attr-defined]  # not in the stubs
        return answers, over, (await call.code()).name, it.service.seen

    large = b"y" + b"x" * (LARGEST // 2)
    assert run(story) == ([b"cba", b"", large], True, "OK", ["closed"])


def test_a_stream_that_is_aborted_ends_with_its_status(run: Callable[[Story], Any]) -> None:
    async def story(it: Served) -> Any:
        call = it.both()
        await call.write(b"ab")
        first = await call.read()
        await call.write(b"stop")
        with contextlib.suppress(grpc.aio.AioRpcError):
            await call.read()
        return first, (await call.code()).name, await call.details()

    assert run(story) == (b"ba", "ABORTED", "as asked")


def test_what_is_watched_is_cancelled_with_its_client(run: Callable[[Story], Any]) -> None:
    async def story(it: Served) -> Any:
        call = it.watch(b"\x03")
        messages = [await call.read() for _ in range(3)]
        await it.service.entered.wait()
        call.cancel()
        await it.service.saw(1)
        return messages, it.service.seen

    assert run(story) == ([b"\x03"] * 3, ["cancelled"])


def test_a_writer_waits_for_a_client_that_does_not_read(run: Callable[[Story], Any]) -> None:
    """So a slow reader cannot fill the gate's memory."""

    async def story(it: Served) -> Any:
        call = it.watch(b"\xff" * (LARGEST // 4))  # 255 times a quarter of a mebibyte
        await call.read()
        await asyncio.sleep(0.3)
        entered = it.service.entered.is_set()
        call.cancel()
        return entered

    assert run(story) is False


def test_a_stop_lets_calls_end_until_its_grace_is_over(run: Callable[[Story], Any]) -> None:
    async def story(it: Served) -> Any:
        call = asyncio.ensure_future(it.unary(b"wait ab"))
        await it.service.entered.wait()
        stop = asyncio.create_task(it.server.stop(20))
        await asyncio.sleep(0.05)
        new = await status(it.unary(b"reverse ab", timeout=5))
        it.service.free.set()
        answer = await call
        await stop
        return new[0], answer, it.service.seen

    assert run(story) == ("UNAVAILABLE", b"ba", ["free"])


@pytest.mark.parametrize("grace", [None, 0.1])
def test_a_stop_cancels_what_has_not_ended(run: Callable[[Story], Any], grace: Any) -> None:
    async def story(it: Served) -> Any:
        call = asyncio.create_task(status(it.unary(b"wait")))
        await it.service.entered.wait()
        await it.server.stop(grace)
        code, _ = await call
        return code in {"CANCELLED", "UNAVAILABLE"}, it.service.seen

    assert run(story) == (True, ["cancelled"])


def test_a_stop_without_patience_ends_the_one_that_waits(run: Callable[[Story], Any]) -> None:
    async def story(it: Served) -> Any:
        call = asyncio.create_task(status(it.unary(b"wait")))
        await it.service.entered.wait()
        patient = asyncio.create_task(it.server.stop(25))
        await asyncio.sleep(0.05)
        await asyncio.gather(it.server.stop(None), it.server.stop(0), patient)
        await call
        return it.service.seen

    assert run(story) == ["cancelled"]


def test_something_not_implemented_within_a_method_is_no_status_ok(
    run: Callable[[Story], Any],
) -> None:
    """To Envoy, a stream of ext_proc that ends with OK is the permission to go on."""

    async def story(it: Served) -> Any:
        return (await status(it.unary(b"missing")))[0]

    assert run(story) == "UNKNOWN"
