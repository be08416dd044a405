"""A gRPC server on the event loop, directly over gRPC's core.

HTTP/2, flow control, limits and keepalive are gRPC's own. Only how completed operations come to the
event loop differs from ``grpc.aio``; see ``completion_queue``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import grpc

from sidecar.grpc_server import binding
from sidecar.grpc_server.call import Call
from sidecar.grpc_server.completion_queue import CompletionQueue

log = logging.getLogger("sidecar.grpc")

_ACCEPTING = 64
"""Calls that the core may accept before the loop has its turn."""
_END_SECONDS = 5.0
"""How long cancelled calls may take to end before the server stops without them."""


class _Details(NamedTuple):
    """What a generic handler is asked with (``grpc.HandlerCallDetails``)."""

    method: str
    invocation_metadata: Any


class CoreServer:
    """Has the part of ``grpc.aio.Server`` that the gate uses; to be made inside the event loop.

    Args:
        options: Channel arguments of gRPC's core.
    """

    def __init__(self, options: Sequence[tuple[str, int | str]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue = CompletionQueue(self._loop)
        self._core = binding.Server(tuple(options), xds=False)
        self._core.register_completion_queue(self._queue.core)
        self._generic: list[grpc.GenericRpcHandler[Any, Any]] = []
        self._methods: dict[bytes, grpc.RpcMethodHandler[Any, Any]] = {}
        self._calls: set[Call] = set()
        self._started = self._accepting = self._ending = False
        self._stopped: asyncio.Future[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._terminated: asyncio.Future[None] = self._loop.create_future()

    def add_generic_rpc_handlers(
        self, handlers: Sequence[grpc.GenericRpcHandler[Any, Any]]
    ) -> None:
        """Add services, before the start."""
        self._generic.extend(handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Do nothing: what generated code registers here it also adds as generic handlers."""

    def add_insecure_port(self, address: str) -> int:
        """Listen on ``host:port`` or ``unix:///path``; return the port.

        Raises:
            RuntimeError: It cannot listen there.
        """
        port: int = self._core.add_http2_port(address.encode())
        if port == 0:
            raise RuntimeError(f"cannot listen on {address}")
        return port

    async def start(self) -> None:
        """Accept calls from now on."""
        self._core.start()
        self._queue.start()
        self._started = self._accepting = True
        for _ in range(_ACCEPTING):
            self._accept()

    async def stop(self, grace: float | None) -> None:
        """Close the port, and cancel what has not ended after ``grace`` seconds; ``None``: now."""
        if not self._started or self._queue.failed.done():
            return
        if self._stopped is None:
            self._stopped = self._loop.create_future()
            self._accepting = False
            self._core.shutdown(self._queue.core, self._on_stopped)
        if grace:
            await asyncio.wait((self._stopped,), timeout=grace)
        if not self._stopped.done():
            self._core.cancel_all_calls()
        if self._closing is None:  # another stop, without patience, may have come here first
            self._closing = self._loop.create_task(self._close(self._stopped))
        await asyncio.shield(self._closing)

    async def wait_for_termination(self) -> None:
        """Wait until the server has stopped.

        Raises:
            Exception: It can answer no call any more; the cause.
        """
        ends = (self._terminated, self._queue.failed)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if self._queue.failed.done():
            self._queue.failed.result()

    async def _close(self, stopped: asyncio.Future[None]) -> None:
        """End every call, then the queue and its thread."""
        try:
            await self._end_all(stopped)
        finally:
            self._terminated.set_result(None)

    async def _end_all(self, stopped: asyncio.Future[None]) -> None:
        """End every call before the queue: each begins one more operation, for its status.

        The core reports that it has stopped before the last events of its calls come.
        """
        ends = (stopped, self._queue.failed)
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if self._queue.failed.done():
            return
        self._ending = True
        for call in tuple(self._calls):
            call.cancel()
        if self._calls:
            self._emptied = self._loop.create_future()
            await asyncio.wait((self._emptied,), timeout=_END_SECONDS)
        if self._calls:  # a method goes on after its cancellation: its operations need the queue
            log.error("%d calls of gRPC did not end when they were cancelled", len(self._calls))
            return
        await self._queue.close()
        self._core.destroy()

    def _on_stopped(self, _: Any) -> None:  # noqa: ANN401
        if self._stopped is not None:
            self._stopped.set_result(None)

    def _on_end(self, call: Call) -> None:
        self._calls.discard(call)
        if self._emptied is not None and not self._calls and not self._emptied.done():
            self._emptied.set_result(None)

    def _accept(self) -> None:
        """Let the core accept one more call."""
        self._core.request_call(self._queue.core, self._queue.core, self._on_call)

    def _on_call(self, event: Any) -> None:  # noqa: ANN401
        if self._accepting:
            self._accept()
        if self._ending or not event.success:  # the core cancels a call that is not kept
            return
        handler = self._handler(event)
        if handler is None:
            call = Call(event, _NO_METHOD, self._loop, self._on_end)
            self._calls.add(call)
            call.refuse(grpc.StatusCode.UNIMPLEMENTED, "the server has no such method")
            return
        call = Call(event, handler, self._loop, self._on_end)
        self._calls.add(call)
        call.start()

    def _handler(self, event: Any) -> grpc.RpcMethodHandler[Any, Any] | None:  # noqa: ANN401
        """Return how the method is implemented; ``None`` where there is no such method."""
        method: bytes = event.call_details.method
        known = self._methods.get(method)
        if known is not None:
            return known
        details = _Details(method.decode("ascii", "replace"), event.invocation_metadata)
        for service in self._generic:
            handler = service.service(details)  # type: ignore[arg-type]  # has its fields
            if handler is not None:
                self._methods[method] = handler
                return handler
        return None


_NO_METHOD: Any = None
"""A call that is refused needs no implementation."""
