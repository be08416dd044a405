"""A connection to NATS for threads: calls in, bytes or one error out, each within a time limit.

Theory of operation. ``nats-py`` is asyncio, so each session runs a loop in a thread of its own. A
call is handed to that loop and waited for; it ends by its deadline, when the session is told to
stop, or with the connection. A connection is not renewed by the library: after any failure it is
closed, and the next call makes another, with certificates and credentials as they are then.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import random
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from sidecar.jetstream import login
from sidecar.jetstream.config import NatsConfig
from sidecar.jetstream.errors import JetStreamError
from sidecar.tls.validity import not_in_force

if TYPE_CHECKING:
    from nats.js import JetStreamContext

    from sidecar.jetstream.client import BoundedClient

Result = TypeVar("Result")
Work = Callable[["JetStreamContext"], Awaitable[Result]]

_LOOK_SECONDS = 0.1
_OVERHEAD_BYTES = 1 << 16
_CLOSE_SECONDS = 2.0
_PAUSE_SECONDS = 0.5
"""The longest time for which a server that cannot be reached is not asked again."""
_ENCODED = 1.5
"""The server sends stored bytes as base64 in JSON."""

_Stamps = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class NatsLimits:
    """How long one call may take, in seconds.

    Attributes:
        step: For each step of connecting, and each answer.
        total: For one call.
        round: For all files that one reading of a repository asks for.
    """

    step: float = 5.0
    total: float = 20.0
    round: float = 60.0


LIMITS = NatsLimits()


class _ProblemError(Exception):
    """A failure whose cause is recorded by the connection, not by the error."""


class Session:
    """Calls over one connection, from any thread.

    Args:
        config: Where, and how the two authenticate.
        limits: See ``NatsLimits``.
    """

    def __init__(self, config: NatsConfig, limits: NatsLimits = LIMITS) -> None:
        self.config = config
        self.limits = limits
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._connecting: asyncio.Lock | None = None
        self._client: BoundedClient | None = None
        self._stamps: _Stamps = ()
        self._stop = threading.Event()
        self._refused, self._paused_until = "", 0.0
        self.generation = 0
        """Grows with each connection; a subscription belongs to one."""
        self.changed = threading.Event()
        """Set when a connection ended, and by a subscriber when a message came."""

    def stop_with(self, stop: threading.Event) -> None:
        """End calls soon after ``stop`` is set."""
        self._stop = stop

    @property
    def connected(self) -> bool:
        """Whether the connection is up, as far as is known."""
        client = self._client
        return client is not None and client.is_connected

    def call(self, what: str, work: Work[Result], max_bytes: int = 0) -> Result:
        """Do something with JetStream.

        Args:
            what: Named in errors.
            work: Gets the context; runs in the session's loop.
            max_bytes: The most stored bytes that it asks for.

        Raises:
            JetStreamError: From ``work``, or whatever went wrong.
        """
        future = asyncio.run_coroutine_threadsafe(self._run(work, max_bytes), self._started())
        try:
            while not future.done():
                concurrent.futures.wait((future,), _LOOK_SECONDS)
                if self._stop.is_set() and not future.done():
                    future.cancel()
                    raise JetStreamError(f"{what}: the reading was ended")
            return future.result()
        except JetStreamError:
            raise
        except Exception as error:
            raise JetStreamError(f"{what}: {_reason(error)}{self._expired()}") from error

    def _expired(self) -> str:
        """Return which of our own files have a certificate that is not in force.

        A server that refuses one only closes the connection, as TLS 1.3 has it.
        """
        own = (self.config.ca, self.config.certificate)
        return not_in_force((path for path in own if path is not None), datetime.now(UTC))

    def close(self) -> None:
        """Close the connection and end the thread; the next call starts over."""
        with self._guard:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        closing = asyncio.run_coroutine_threadsafe(self._disconnect(), loop)
        concurrent.futures.wait((closing,), _CLOSE_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CLOSE_SECONDS)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._guard:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                self._loop, self._connecting = loop, asyncio.Lock()
                self._thread = threading.Thread(
                    target=_run_loop, args=(loop,), name="nats", daemon=True
                )
                self._thread.start()
            return self._loop

    async def _run(self, work: Work[Result], max_bytes: int) -> Result:
        try:
            async with asyncio.timeout(self.limits.total):
                client = await self._connected()
                client.problem = None
                client.allow(int(max_bytes * _ENCODED) + _OVERHEAD_BYTES)
                return await work(client.jetstream(timeout=self.limits.step))
        except JetStreamError:
            raise
        except BaseException as error:
            problem = self._problem(error)
            await self._disconnect()
            if problem:
                raise _ProblemError(problem) from error
            raise

    def _problem(self, error: BaseException) -> str:
        """Return the connection's cause of a failure; empty where the error has it."""
        client = self._client
        if client is None or isinstance(error, asyncio.CancelledError):
            return ""
        if client.flooded:
            return "the server sent more than was asked for"
        if isinstance(error, TimeoutError) or type(error).__name__ == "NoServersError":
            # The library reports the cause, such as a missing permission, apart from the failure.
            return "" if client.problem is None else _reason(client.problem)
        return ""

    async def _connected(self) -> BoundedClient:
        assert self._connecting is not None
        async with self._connecting:
            client, stamps = self._client, self._stamped()
            if client is not None and client.is_connected and stamps == self._stamps:
                return client
            await self._disconnect()
            from sidecar.jetstream.client import BoundedClient  # noqa: PLC0415 - an extra

            if stamps == self._stamps and time.monotonic() < self._paused_until:
                raise _ProblemError(self._refused)
            client = BoundedClient(self.config, login.read(self.config))
            self._client, self._stamps = client, stamps
            try:
                await client.open(self.limits.step, self._ended)
            except Exception as error:
                self._refused = self._problem(error) or _reason(error)
                self._paused_until = time.monotonic() + random.uniform(0, _PAUSE_SECONDS)  # noqa: S311
                raise
            self.generation += 1
            return client

    async def _ended(self) -> None:
        self.changed.set()

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await client.close()
            except Exception:  # noqa: BLE001 - it is given up either way
                self.changed.set()
            finally:
                _abort(client)
            self.changed.set()

    def _stamped(self) -> _Stamps:
        try:
            found = [path.stat() for path in self.config.files]
        except OSError as error:
            raise JetStreamError(f"{error.filename} cannot be read: {error.strerror}") from error
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


def _abort(client: BoundedClient) -> None:
    """Close the socket of a client that could not end its session."""
    transport = client._transport  # nothing else ends a connection attempt
    writer = getattr(transport, "_bare_io_writer", None)
    if writer is not None:
        writer.transport.abort()


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    # Errors of the library's own tasks concern a connection that is closed already.
    loop.set_exception_handler(lambda _loop, _context: None)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(_cancel_rest())
        loop.close()


async def _cancel_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def _reason(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            reason = f"the server's certificate: {error.verify_message}"
        case ssl.SSLError():
            reason = f"TLS: {error.reason or error}"
        case TimeoutError():
            reason = "the server did not answer in time"
        case OSError(errno=int() as number):
            # The loop puts the address into ``strerror``; it is in the configuration already.
            reason = os.strerror(number)
        case concurrent.futures.CancelledError() | asyncio.CancelledError():
            reason = "the connection ended"
        case ValueError() | LookupError() | TypeError():
            reason = "the server sent something else than NATS"
        case _:
            reason = str(error).removeprefix("nats: ")
    return reason or type(error).__name__
