"""However a call or the server ends: no call is OK unsaid, and nothing waits or aborts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from typing import Any

import grpc
import pytest

from sidecar.grpc_server import binding, core_server
from sidecar.grpc_server.call import Call
from sidecar.grpc_server.core_server import CoreServer
from tests.contract.grpc_server import raw_http2
from tests.contract.grpc_server.raw_http2 import half_sent, request
from tests.contract.grpc_server.service import SERVICE, served, status


def test_a_stop_beside_half_sent_requests_aborts_nothing() -> None:
    """gRPC's core aborts the process where an operation begins on a queue that was shut down."""

    async def main() -> int:
        async with served("core") as it:
            clients = [raw_http2.connect(it.port) for _ in range(4)]
            for client in clients:
                client.sendall(b"".join(half_sent(stream, "Unary") for stream in range(1, 200, 2)))
            await it.unary(b"reverse ab")
            for client in clients:
                client.close()
            await it.server.stop(None)
            return len(it.server._calls)

    assert [asyncio.run(main()) for _ in range(20)] == [0] * 20


def test_a_stop_that_is_cancelled_leaves_the_next_one_able_to_end() -> None:
    async def main() -> list[str]:
        async with served("core") as it:
            call = asyncio.create_task(status(it.unary(b"wait")))
            await it.service.entered.wait()
            first = asyncio.create_task(it.server.stop(None))
            await asyncio.sleep(0)
            first.cancel()
            await asyncio.wait([first])
            await it.server.stop(None)
            await it.server.wait_for_termination()
            await call
            return it.service.seen

    assert asyncio.run(main()) == ["cancelled"]
    assert "grpc-events" not in {thread.name for thread in threading.enumerate()}


def test_a_method_that_goes_on_when_it_is_cancelled_does_not_hold_the_stop(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(core_server, "_END_SECONDS", 0.1)

    async def main() -> str:
        async with served("core") as it:
            stubborn = asyncio.Event()

            async def wait(*_: Any) -> bytes:
                while not stubborn.is_set():
                    with contextlib.suppress(asyncio.CancelledError):
                        it.service.entered.set()
                        await stubborn.wait()
                return b"late"

            monkeypatch.setattr(it.service, "_wait", wait)
            call = asyncio.create_task(status(it.unary(b"wait")))
            await it.service.entered.wait()
            await it.server.stop(None)
            stubborn.set()
            return (await call)[0]

    assert asyncio.run(main()) in {"CANCELLED", "UNAVAILABLE"}
    assert "1 calls of gRPC did not end" in caplog.text


def test_a_method_that_is_left_by_no_ordinary_exception_is_not_ok() -> None:
    """Such as the end of the process; to Envoy, OK is the permission to go on."""

    class ProcessEnds(BaseException):
        pass

    async def leave(*_: Any) -> None:
        raise ProcessEnds

    async def main() -> Any:
        server = CoreServer([])
        methods = {
            "One": grpc.unary_unary_rpc_method_handler(leave),
            "Many": grpc.stream_stream_rpc_method_handler(leave),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            one = channel.unary_unary(f"/{SERVICE}/One", None, None)(b"")
            many = channel.stream_stream(f"/{SERVICE}/Many", None, None)(iter(()))
            found = (await status(one))[0], (await many.code()).name
        await server.stop(None)
        return found

    loop_says: list[Any] = []  # that a task failed
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(lambda _, context: loop_says.append(context))
        assert runner.run(main()) == ("CANCELLED", "CANCELLED")


class _Core:
    """Records what a call asks of gRPC's core, and completes nothing by itself."""

    def __init__(self) -> None:
        self.tags: list[Any] = []
        self.call_details = None
        self.invocation_metadata = ()

    @property
    def call(self) -> _Core:
        return self

    def start_server_batch(self, _: Any, tag: Any) -> None:
        self.tags.append(tag)


class _Event:
    """An event with one operation, which was cancelled, and whose message is a request."""

    def __init__(self) -> None:
        self.batch_operations = (self,)

    def cancelled(self) -> bool:
        return True

    def message(self) -> bytes:
        return b"request"


async def _never(_: Any, __: Any) -> bytes:
    raise AssertionError("it must not be entered")


_NEVER: Any = grpc.unary_unary_rpc_method_handler(_never)


def test_a_call_that_is_cancelled_before_its_request_is_here_is_not_entered() -> None:
    """A client that resets what it has just opened costs no decision."""

    async def main() -> tuple[int, list[bool]]:
        core, ended = _Core(), list[Call]()
        one = Call(core, _NEVER, asyncio.get_running_loop(), ended.append)
        one.start()
        on_close, on_request = core.tags
        on_close(_Event())
        on_request(_Event())
        on_end = core.tags[2]
        before = len(ended)
        on_end(None)
        return before, [each is one for each in ended]

    assert asyncio.run(main()) == (0, [True])


def test_a_call_that_is_cancelled_before_it_is_entered_is_not_kept() -> None:
    async def main() -> tuple[int, list[bool]]:
        core, ended = _Core(), list[Call]()
        one = Call(core, _NEVER, asyncio.get_running_loop(), ended.append)
        one._run(b"")
        one.cancel()
        await asyncio.sleep(0)
        (on_end,) = core.tags
        before = len(ended)
        on_end(None)
        return before, [each is one for each in ended]

    assert asyncio.run(main()) == (0, [True])


def test_a_client_that_leaves_while_it_is_written_to_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        for _ in range(10):
            async with served("core") as it:
                client = raw_http2.connect(it.port)
                for stream in range(1, 40, 2):
                    client.sendall(half_sent(stream, "Watch") + request(stream, b"\xff" * 15_000))
                await asyncio.sleep(0.02)  # it writes until there is no room
                client.close()
                await it.unary(b"reverse ab")

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert caplog.text == ""


@pytest.mark.parametrize("where", ["loop", "thread"])
def test_a_queue_that_fails_ends_the_server_rather_than_answer_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    failing = threading.Event()

    class Queue(binding.CompletionQueue):  # type: ignore[misc]  # compiled, without a stub
        def poll(self, deadline: float | None = None) -> Any:
            if failing.is_set() and (where == "loop") is (deadline is not None):
                raise MemoryError("of an event")
            return super().poll(deadline)

    monkeypatch.setattr(binding, "CompletionQueue", Queue)

    async def main() -> list[str]:
        found = []
        async with served("core") as it:
            await it.unary(b"reverse ab")
            failing.set()
            lost = asyncio.create_task(status(it.unary(b"reverse ab", timeout=5)))
            try:
                async with asyncio.timeout(5):
                    await it.server.wait_for_termination()
            except MemoryError as error:
                found.append(str(error))
            failing.clear()
            await it.server.stop(None)
            lost.cancel()
            await asyncio.wait([lost])
        return found

    assert asyncio.run(main()) == ["of an event"]
    assert "no event of gRPC can be taken any more" in caplog.text
