"""Ends a gate without cutting what is in flight: uploads, answers, and decisions.

    NOT_SERVING → new requests go elsewhere → what is in flight ends, within its time → stop

Where gates share the port, connections are closed gracefully (GOAWAY) at once, and Envoy connects
to another gate. A gate that is alone keeps its port meanwhile, and refuses new requests with a
reason; ext_proc streams of requests that it admitted before are still accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from sidecar.gate.server import GateServer

log = logging.getLogger("sidecar.service")

_LOOK_SECONDS = 0.05
_IDLE_LOOKS = 5
"""Looks without anything in flight before it is the end: an ext_proc stream follows its allow."""


async def drain(
    server: GateServer, seconds: float, hurry: asyncio.Event, *, shared_port: bool
) -> None:
    """Stop a server when nothing is in flight, after ``seconds``, or once ``hurry`` is set.

    Args:
        server: It serves.
        seconds: How long what is in flight may take.
        hurry: Set by a second signal.
        shared_port: Whether another gate listens on the same port.
    """
    await server.begin_stop(refuse=not shared_port)
    leaving = asyncio.create_task(server.stop(seconds)) if shared_port else None
    try:
        await _until_idle(server, seconds, hurry)
        if server.in_flight:
            log.warning("stopping with %d requests in flight", server.in_flight)
    finally:
        if leaving is not None:
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
        await server.stop(None)


async def _until_idle(server: GateServer, seconds: float, hurry: asyncio.Event) -> None:
    idle = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while idle < _IDLE_LOOKS and not hurry.is_set():
                idle = 0 if server.in_flight else idle + 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_SECONDS):
                        await hurry.wait()
