"""Ends a gate without cutting what is in flight: uploads, answers, and decisions.

    NOT_SERVING → new requests go elsewhere → what is in flight ends, within its time → stop

Where others share the port, a gate stops listening, so that new connections go to them. It answers
on the connections that it has until each was closed by its age (``server.CONNECTION_SECONDS``): a
server that closes them at once would fail the calls that are just on their way. A gate that is
alone keeps its port, and refuses new requests with a reason; ext_proc streams of requests that it
admitted before are still accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from sidecar.gate.server import GateServer
from sidecar.service.port_sockets import PortSockets

log = logging.getLogger("sidecar.service")

_LONG_SECONDS = 3600.0
_LOOK_SECONDS = 0.05
_IDLE_LOOKS = 5
"""Looks without anything in flight before it is the end: an ext_proc stream follows its allow."""


async def drain(
    server: GateServer, seconds: float, hurry: asyncio.Event, shared: PortSockets | None
) -> None:
    """Stop a server when nothing is in flight, after ``seconds``, or once ``hurry`` is set.

    Args:
        server: It serves.
        seconds: How long what is in flight may take.
        hurry: Set by a second signal.
        shared: The port that others may listen on too; ``None`` where it is this gate's alone.
    """
    await server.begin_stop(refuse=shared is None)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                if shared is not None:
                    await _until_left(server, shared, hurry)
                else:
                    await _until_idle(server, hurry)
        if server.in_flight:
            log.warning("stopping with %d requests in flight", server.in_flight)
    finally:
        await server.stop(None)


async def _until_left(server: GateServer, port: PortSockets, hurry: asyncio.Event) -> None:
    """Wait until no client is connected, or no other process is left to connect to."""
    port.stop_listening()
    while port.connected() and port.others_listen() and not hurry.is_set():
        await _wait(hurry)
    leaving = asyncio.create_task(server.stop(None if hurry.is_set() else _LONG_SECONDS))
    try:
        await _until_idle(server, hurry)
    finally:
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)


async def _until_idle(server: GateServer, hurry: asyncio.Event) -> None:
    idle = 0
    while idle < _IDLE_LOOKS and not hurry.is_set():
        idle = 0 if server.in_flight else idle + 1
        await _wait(hurry)


async def _wait(hurry: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LOOK_SECONDS):
            await hurry.wait()
