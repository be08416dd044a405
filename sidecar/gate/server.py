"""Serves the gate over gRPC: ``Authorization``, the external processor and the health service."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from sidecar._pb.ext_proc_pb2_grpc import (
    ExternalProcessorServicer,
    add_ExternalProcessorServicer_to_server,
)
from sidecar.gate.authorization import SERVICE, Authorization, handler
from sidecar.gate.private_socket import private_socket
from sidecar.grpc_server.server import create
from sidecar.opa.client import UNIX

CONNECTION_SECONDS = 10.0
"""Where gates share a port: how long a connection lives, give or take a tenth. It is then closed
gracefully (GOAWAY), and the next one may go to another gate; streams on it end in their own time.
"""
ENVELOPE_BYTES = 1 << 20
"""Upper bound of what a ``CheckRequest`` holds beside its body."""


class GateServer:
    """The gRPC server with its health service; to be used inside the event loop."""

    def __init__(
        self,
        service: Authorization,
        *,
        max_body_bytes: int,
        reuse_port: bool,
        processor: ExternalProcessorServicer | None = None,
        streams: Callable[[], int] = lambda: 0,
    ) -> None:
        self._service = service
        self._streams = streams
        # Larger than any body that is read, so that the gate itself refuses a body over its limit.
        size = 2 * max_body_bytes + ENVELOPE_BYTES
        options = [
            ("grpc.max_receive_message_length", size),
            ("grpc.so_reuseport", int(reuse_port)),
        ]
        if reuse_port:
            options.append(("grpc.max_connection_age_ms", int(CONNECTION_SECONDS * 1000)))
        self._server = create(options)
        self._ready: bool | None = None
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # not in the stubs
        self._server.add_generic_rpc_handlers((handler(service),))
        if processor is not None:
            add_ExternalProcessorServicer_to_server(processor, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    async def start(self, address: str) -> int:
        """Listen on ``host:port`` or ``unix:///path``, not ready yet; return the port.

        Raises:
            OSError: The address is in use, invalid, or not permitted.
        """
        await self.set_ready(ready=False)
        if address.startswith(UNIX):
            port = self._add(address, private_socket(Path(address.removeprefix(UNIX))))
        else:
            port = self._add(address, contextlib.nullcontext())
        await self._server.start()
        return port

    def _add(self, address: str, around: contextlib.AbstractContextManager[None]) -> int:
        try:
            with around:
                port: int = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(
                f"cannot listen on {address}: it is in use, invalid or not permitted"
            ) from error
        if port == 0:
            raise OSError(f"cannot listen on {address}: it is in use, invalid or not permitted")
        return port

    async def set_ready(self, *, ready: bool) -> bool:
        """Set the health status (grpc.health.v1); return whether it changed."""
        if self._ready is ready:
            return False
        self._ready = ready
        states = health_pb2.HealthCheckResponse
        status = states.SERVING if ready else states.NOT_SERVING
        for name in ("", SERVICE):
            await self._health.set(name, status)
        return True

    @property
    def in_flight(self) -> int:
        """Return the number of checks and of streams of the processor that have not ended."""
        return self._service.in_flight + self._streams()

    async def wait_for_termination(self) -> None:
        """Wait until the server has stopped.

        Raises:
            Exception: It can answer no call any more, not even a health check; the cause.
        """
        await self._server.wait_for_termination()

    async def begin_stop(self, *, refuse: bool) -> None:
        """Report NOT_SERVING from now on and, with ``refuse``, deny new checks (``stopping``)."""
        self._service.stopping = refuse
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_seconds: float | None) -> None:
        """Close the port, and cancel what is in flight after ``grace_seconds``; ``None``: now."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_seconds)
