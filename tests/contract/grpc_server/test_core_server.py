"""The server over gRPC's core: which one serves, what it keeps, and what it costs while idle."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import threading
import weakref
from typing import Any

import grpc
import pytest

from sidecar.grpc_server import binding
from sidecar.grpc_server import call as call_module
from sidecar.grpc_server.call import Call
from sidecar.grpc_server.core_server import CoreServer
from sidecar.grpc_server.server import create
from tests.contract.grpc_server.service import Served, served, status


def test_with_another_binding_grpc_aio_serves(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def kind() -> type[Any]:
        return type(create())

    assert asyncio.run(kind()) is CoreServer

    def other(*_: Any, **__: Any) -> Any:
        raise TypeError("Server() takes no argument xds")

    monkeypatch.setattr(binding, "Server", other)
    with caplog.at_level(logging.WARNING):
        assert asyncio.run(kind()) is not CoreServer
    assert grpc.__version__ in caplog.text


def test_nothing_of_a_call_waits_for_the_garbage_collector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A message may have many mebibytes, and the collector runs rarely."""
    seen: list[weakref.ref[Any]] = []

    class Kept(Call):
        """A call that can be referred to weakly."""

        __slots__ = ("__weakref__",)

        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            seen.append(weakref.ref(self))

    monkeypatch.setattr("sidecar.grpc_server.core_server.Call", Kept)

    async def story(it: Served) -> None:
        await asyncio.gather(*(it.unary(b"reverse ab") for _ in range(20)))
        await status(it.unary(b"wait", timeout=0.1))
        await status(it.unary(b"x", method="Nothing"))
        stream = it.both()
        await stream.write(b"a")
        await stream.read()
        await stream.done_writing()
        await stream.read()

    async def main() -> list[bool]:
        async with served("core") as it:
            await story(it)
            del it
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(20):
                    while any(each() is not None for each in seen):  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
            return [each() is None for each in seen]

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(main()) == [True] * 23
    finally:
        gc.enable()


def test_an_event_that_cannot_be_handled_ends_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = [True]
    on_request = Call._on_request

    def fail_once(self: Call, event: Any) -> None:
        if broken and broken.pop():
            raise RuntimeError("unforeseen")
        on_request(self, event)

    monkeypatch.setattr(call_module.Call, "_on_request", fail_once)

    async def main() -> tuple[str, bytes]:
        async with served("core") as it:
            lost = await status(it.unary(b"reverse ab", timeout=1))
            return lost[0], await it.unary(b"reverse ab")

    assert asyncio.run(main()) == ("DEADLINE_EXCEEDED", b"ba")
    assert "an event of gRPC could not be handled" in caplog.text


def test_an_idle_server_leaves_the_event_loop_asleep() -> None:
    async def main() -> int:
        async with served("core") as it:
            await it.unary(b"reverse ab")
            turns = 0
            loop = asyncio.get_running_loop()
            select = loop._selector.select  # type: ignore[attr-defined]  # asyncio's own loop

            def counted(timeout: float | None) -> Any:
                nonlocal turns
                turns += 1
                return select(timeout)

            loop._selector.select = counted  # type: ignore[attr-defined]
            for _ in range(20):  # what the call leaves to do may take its time
                turns = 0
                await asyncio.sleep(0.5)
                if turns <= 3:
                    break
            return turns

    assert asyncio.run(main()) <= 3


def test_a_server_that_stopped_leaves_no_thread() -> None:
    async def main() -> None:
        async with served("core") as it:
            await it.unary(b"reverse ab")
            assert "grpc-events" in {thread.name for thread in threading.enumerate()}

    asyncio.run(main())
    assert "grpc-events" not in {thread.name for thread in threading.enumerate()}
