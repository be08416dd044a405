"""A service with a method of each form, on each of the two servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from sidecar.grpc_server.core_server import CoreServer

SERVICE = "test.Service"
LARGEST = 1 << 20

SERVERS: dict[str, Callable[[Any], Any]] = {
    "core": CoreServer,
    "grpc.aio": lambda options: grpc.aio.server(options=options),
}


@dataclass
class Service:
    """Methods that do what the first bytes of a request say, and what they saw."""

    entered: asyncio.Event = field(default_factory=asyncio.Event)
    free: asyncio.Event = field(default_factory=asyncio.Event)
    seen: list[str] = field(default_factory=list)
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def unary(self, request: bytes, context: Any) -> bytes | None:
        """Reverse, or do what the first word says, such as ``abort``, ``raise`` or ``wait``."""
        what, _, rest = request.partition(b" ")
        if what == b"metadata":
            return str(dict(context.invocation_metadata())["x-test"]).encode()
        if what == b"time":
            return repr(context.time_remaining()).encode()
        if what == b"abort":
            await context.abort(grpc.StatusCode.NOT_FOUND, "nothing of that name")
        if what == b"raise":
            raise RuntimeError("a secret")
        if what == b"missing":
            raise NotImplementedError("of something that the method called")
        if what == b"none":
            return None
        if what == b"wait":
            await self._wait()
        return rest[::-1]

    async def saw(self, number: int) -> None:
        """Return once so many ends were seen."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.seen) >= number)

    async def _wait(self) -> None:
        self.entered.set()
        try:
            await self.free.wait()
        except asyncio.CancelledError:
            await self._end("cancelled")
            raise
        await self._end("free")

    async def _end(self, how: str) -> None:
        async with self._more:
            self.seen.append(how)
            self._more.notify_all()

    async def watch(self, request: bytes, context: Any) -> None:
        """Write the request as often as its first byte says, then wait."""
        for _ in range(request[0]):
            await context.write(request)
        await self._wait()

    async def both(self, requests: Any, context: Any) -> None:
        """Answer each request; ``stop`` aborts; end when the client does."""
        async for request in requests:
            if request == b"stop":
                await context.abort(grpc.StatusCode.ABORTED, "as asked")
            await context.write(request[::-1])
        await self._end("closed")

    def handler(self) -> grpc.GenericRpcHandler[Any, Any]:
        """Return the service; its messages are bytes."""
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Strict": grpc.unary_unary_rpc_method_handler(
                self.unary, request_deserializer=_ascii, response_serializer=_written
            ),
            "Watch": grpc.unary_stream_rpc_method_handler(self.watch),
            "Both": grpc.stream_stream_rpc_method_handler(self.both),
        }
        return grpc.method_handlers_generic_handler(SERVICE, methods)


def _ascii(message: bytes) -> bytes:
    return message.decode("ascii").encode()


def _written(message: Any) -> bytes:
    return bytes(message) + b"!"


@dataclass
class Served:
    """A running server, its service, and a client."""

    service: Service
    server: Any
    channel: grpc.aio.Channel
    port: int

    def unary(self, request: bytes, method: str = "Unary", **options: Any) -> Any:
        return self.channel.unary_unary(f"/{SERVICE}/{method}", None, None)(request, **options)

    def watch(self, request: bytes, **options: Any) -> Any:
        return self.channel.unary_stream(f"/{SERVICE}/Watch", None, None)(request, **options)

    def both(self, **options: Any) -> Any:
        return self.channel.stream_stream(f"/{SERVICE}/Both", None, None)(**options)


@asynccontextmanager
async def served(kind: str) -> AsyncIterator[Served]:
    """Serve a ``Service`` on a port of the kernel's choice."""
    service = Service()
    server = SERVERS[kind]([("grpc.max_receive_message_length", LARGEST)])
    server.add_generic_rpc_handlers((service.handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        try:
            yield Served(service, server, channel, port)
        finally:
            await server.stop(None)


async def status(call: Any) -> tuple[str, str]:
    """Return the name of the code with which a call failed, and its text."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name, error.details() or ""
    return "OK", ""
