"""One call of a gRPC method: its messages in, its messages and status out.

A ``Call`` is what a method's implementation gets as its context, and as its requests where the
client streams them. It has the part of ``grpc.aio.ServicerContext`` that the gate's services use.

Each call sends one status, whatever becomes of it, and has ended once the core has completed that
operation. Nothing is asked of the core for a call that has ended: it aborts the process where an
operation begins on a completion queue that was shut down.

Source: gRPC's ``grpc_op`` (include/grpc/impl/grpc_types.h): what a server does with a call.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, cast

import grpc

from sidecar.grpc_server import binding

log = logging.getLogger("sidecar.grpc")

_OK: int = grpc.StatusCode.OK.value[0]
_UNKNOWN: int = grpc.StatusCode.UNKNOWN.value[0]
_CANCELLED: int = grpc.StatusCode.CANCELLED.value[0]
_NEVER = 1e12
"""Seconds since 1970; the core's deadline of a call without one is 2**63 nanoseconds, or more."""


class _AbortError(Exception):
    """Ends a call whose status is set."""


class _GoneError(ConnectionError):
    """A message could not be sent: the client cancelled the call, or is gone."""


class Call:
    """One call; a loop's thread alone uses it.

    Args:
        event: The core's event of the new call.
        handler: How the method is implemented.
        loop: The event loop.
        ended: Called once when the call has ended.
    """

    __slots__ = (
        "_began",
        "_core",
        "_details",
        "_ended",
        "_handler",
        "_loop",
        "_metadata",
        "_opened",
        "_over",
        "_status",
        "_task",
    )

    def __init__(
        self,
        event: Any,  # noqa: ANN401
        handler: grpc.RpcMethodHandler[Any, Any],
        loop: asyncio.AbstractEventLoop,
        ended: Callable[[Call], None],
    ) -> None:
        self._core = event.call
        self._details = event.call_details
        self._metadata = event.invocation_metadata
        self._handler = handler
        self._loop = loop
        self._ended = ended
        self._began = self._opened = self._over = False
        self._status: tuple[int, bytes] = (_OK, b"")
        self._task: asyncio.Task[None] | None = None

    # ---- what an implementation uses ---------------------------------------------------------

    def time_remaining(self) -> float | None:
        """Return the seconds until the client's deadline, at least 0; ``None`` without one."""
        deadline: float = self._details.deadline
        return None if deadline > _NEVER else max(deadline - time.time(), 0.0)

    def invocation_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """Return the metadata that the client sent before its messages."""
        return cast("tuple[tuple[str, str | bytes], ...]", self._metadata)

    def set_code(self, code: grpc.StatusCode) -> None:
        """Set the status code with which the call ends."""
        self._status = (code.value[0], self._status[1])

    def set_details(self, details: str) -> None:
        """Set the text of the status with which the call ends."""
        self._status = (self._status[0], details.encode())

    async def abort(self, code: grpc.StatusCode, details: str = "") -> NoReturn:
        """End the call with this status.

        Raises:
            Exception: Always; it is not to be caught.
        """
        self._status = (code.value[0], details.encode())
        raise _AbortError

    async def write(self, message: object) -> None:
        """Send one message of a streamed response; return when there is room for the next.

        Raises:
            ConnectionError: The call has ended: the client cancelled it, or is gone.
        """
        sent = binding.SendMessage(self._serialized(message), binding.NO_FLAGS)
        if not await self._batch((*self._opening(), sent)):
            raise _GoneError("the call has ended")

    def __aiter__(self) -> Call:
        """Return the requests of the client: each is read when it is asked for."""
        return self

    async def __anext__(self) -> Any:  # noqa: ANN401
        """Return the next request; ends where the client has closed its side, or is gone."""
        received = binding.ReceiveMessage(binding.NO_FLAGS)
        await self._batch((received,))
        message: bytes | None = received.message()
        if message is None:
            raise StopAsyncIteration
        return self._deserialized(message)

    # ---- how it runs -------------------------------------------------------------------------

    def start(self) -> None:
        """Run the implementation; where the client sends one request, once that is here."""
        self._core.start_server_batch((binding.ReceiveClose(binding.NO_FLAGS),), self._on_close)
        if self._handler.request_streaming:
            self._run(self)
        else:
            self._core.start_server_batch(
                (binding.ReceiveMessage(binding.NO_FLAGS),), self._on_request
            )

    def refuse(self, code: grpc.StatusCode, details: str) -> None:
        """End the call with this status before an implementation ran, unless it has ended."""
        if not self._over:
            self._status = (code.value[0], details.encode())
            self._end()

    def cancel(self) -> None:
        """Cancel the implementation; end the call by itself where none was entered."""
        if self._task is not None and (not self._task.cancel() or self._began):
            return
        self._task = None
        self.refuse(grpc.StatusCode.CANCELLED, "")

    def _on_close(self, event: Any) -> None:  # noqa: ANN401
        if event.batch_operations[0].cancelled():
            self.cancel()

    def _on_request(self, event: Any) -> None:  # noqa: ANN401
        if self._over:  # cancelled before the request was here
            return
        message: bytes | None = event.batch_operations[0].message()
        if message is None:  # too large, or closed without one
            self.refuse(grpc.StatusCode.UNIMPLEMENTED, "the method needs exactly one request")
            return
        self._run(message)

    def _run(self, request: Any) -> None:  # noqa: ANN401
        self._task = self._loop.create_task(self._call(request))

    async def _call(self, request: Any) -> None:  # noqa: ANN401
        self._began = True
        handler, reply = self._handler, None
        try:
            if not handler.request_streaming:
                request = self._deserialized(request)
            reply = await self._behaviour(handler)(request, self)
            if not handler.response_streaming:
                reply = self._serialized(reply)
                if not isinstance(reply, bytes):
                    raise TypeError(f"a response is {type(reply).__name__}, not bytes")
        except _AbortError:
            reply = None
        except _GoneError:
            reply, self._status = None, (_CANCELLED, b"")
        except Exception as error:
            reply = None
            # Generated code raises this one for a missing method, once it has set the status.
            if not isinstance(error, NotImplementedError) or self._status[0] == _OK:
                log.exception("a call of gRPC failed")
                self._status = (_UNKNOWN, b"the gate failed")
        except BaseException:  # cancelled, or the process ends: never OK, which permits
            reply, self._status = None, (_CANCELLED, b"")
            raise
        finally:
            self._task = None  # its exception refers to this call
            self._end(reply)

    @staticmethod
    def _behaviour(
        handler: grpc.RpcMethodHandler[Any, Any],
    ) -> Callable[[Any, Call], Awaitable[Any]]:
        """Return the method's coroutine function, whatever is streamed."""
        if handler.request_streaming:
            stream = handler.stream_stream if handler.response_streaming else handler.stream_unary
        else:
            stream = handler.unary_stream if handler.response_streaming else handler.unary_unary
        return cast("Callable[[Any, Call], Awaitable[Any]]", stream)

    def _end(self, reply: bytes | None = None) -> None:
        """Send the last message, if there is one, and the status."""
        self._over = True
        code, details = self._status
        status = binding.SendStatus(binding.NO_METADATA, code, details, binding.NO_FLAGS)
        if reply is None:
            operations = (*self._opening(), status)
        else:
            message = binding.SendMessage(reply, binding.NO_FLAGS)
            operations = (*self._opening(), message, status)
        self._core.start_server_batch(operations, self._on_end)

    def _on_end(self, _: Any) -> None:  # noqa: ANN401
        self._ended(self)

    def _opening(self) -> tuple[Any, ...]:
        """Return the operation that must come before the first message or status, once."""
        if self._opened:
            return ()
        self._opened = True
        return (binding.SendInitialMetadata(binding.NO_METADATA, binding.NO_FLAGS),)

    async def _batch(self, operations: tuple[Any, ...]) -> bool:
        """Start operations, and return whether they succeeded once they are complete.

        The event itself refers to its tag, so its message would wait for the garbage collector.
        """
        done: asyncio.Future[bool] = self._loop.create_future()

        def complete(event: Any) -> None:  # noqa: ANN401
            if not done.done():  # the task may have been cancelled
                done.set_result(event.success)

        self._core.start_server_batch(operations, complete)
        return await done

    def _deserialized(self, message: bytes) -> Any:  # noqa: ANN401
        read = self._handler.request_deserializer
        return message if read is None else read(message)

    def _serialized(self, message: Any) -> bytes:  # noqa: ANN401
        write = self._handler.response_serializer
        return cast("bytes", message if write is None else write(message))
