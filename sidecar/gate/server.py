"""Serves Envoy's ``Authorization`` service: every response is a denial or a proven allow.

``Check`` raises nothing: with ``failure_mode_allow`` Envoy would treat an error as an allow. The
gate's own deadline ends before Envoy's. Requests over the concurrency limit are refused at once;
a limit of gRPC would queue them until Envoy timed out.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from sidecar._pb import ext_authz_pb2 as pb
from sidecar._pb import ext_authz_pb2_grpc as rpc
from sidecar._pb.ext_proc_pb2_grpc import (
    ExternalProcessorServicer,
    add_ExternalProcessorServicer_to_server,
)
from sidecar.core.decide import Decision, Progress
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.window import rfc3339
from sidecar.extract.http_request import HttpRequest
from sidecar.extract.parsed_request import CheckMessage, LargeMessage, decode_message, describe
from sidecar.extract.router import error_shape
from sidecar.gate import check_response
from sidecar.gate.clock import Clock, Reading
from sidecar.gate.decision_context import DecisionContext
from sidecar.gate.lifecycle import INTERNAL, LeasedResponse, Observer, run_decision
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.private_socket import private_socket
from sidecar.gate.request_queue import RequestQueue
from sidecar.grpc_server.server import create
from sidecar.observe.outcome import SharedOutput
from sidecar.opa.client import UNIX
from sidecar.providers.error_shapes import OPENAI, ErrorShape

log = logging.getLogger("sidecar.gate")

SERVICE = "envoy.service.auth.v3.Authorization"
REPLY_SECONDS = 0.25
"""Kept of Envoy's deadline for writing the decision down and for the way back."""
CONNECTION_SECONDS = 10.0
"""Where gates share a port: how long a connection lives, give or take a tenth. It is then closed
gracefully (GOAWAY), and the next one may go to another gate; streams on it end in their own time.
"""
ENVELOPE_BYTES = 1 << 20
"""Upper bound of what a ``CheckRequest`` holds beside its body."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one request (seconds), and on all requests in flight."""

    deadline_seconds: float
    max_concurrent: int
    slots: int = 16


Reply = pb.CheckResponse | bytes
"""A ``CheckResponse``, or a serialized one: the ids of decisions are all of one length, so that the
response of a lease's first decision is that of all its decisions, with another id. Without a lease
the end of its validity differs too."""


class Authorization(rpc.AuthorizationServicer):
    """Envoy's ``Authorization`` service over a pipeline."""

    def __init__(
        self,
        pipeline: Pipeline,
        limits: Limits,
        observer: Observer,
        clock: Callable[[], Reading] | None = None,
    ) -> None:
        self._pipeline = pipeline
        self._limits = limits
        self._observer = observer
        self._clock = clock or Clock().read
        self._in_flight = 0
        self._queue = RequestQueue(limits.slots)
        self.stopping = False

    @property
    def in_flight(self) -> int:
        """Return the number of requests that are not answered yet."""
        return self._in_flight

    async def Check(self, request: CheckMessage, context: Any) -> pb.CheckResponse:  # noqa: ANN401, N802
        """Answer one ``CheckRequest``; raises only ``CancelledError``, where Envoy cancelled."""
        reply = await self.answer(request, context)
        return pb.CheckResponse.FromString(reply) if isinstance(reply, bytes) else reply

    async def answer(self, request: CheckMessage, context: Any) -> Reply:  # noqa: ANN401
        """Answer as ``Check`` does, where possible with what is serialized already."""
        reply: Reply = _FAILED
        self._in_flight += 1
        try:
            reply = await self._answer(request, self._seconds(context))
        except Exception:
            log.exception("a CheckResponse could not be written")
        finally:
            self._in_flight -= 1
        return reply

    def _seconds(self, context: Any) -> float:  # noqa: ANN401
        """Return the seconds until a decision is due: the gate's deadline, or Envoy's if nearer.

        Envoy's runs from the moment it sent the request, which may have waited to be accepted.
        """
        left = None if context is None else context.time_remaining()
        most = self._limits.deadline_seconds
        return most if left is None else min(most, round(left - REPLY_SECONDS, 2))

    async def _answer(self, message: CheckMessage, seconds: float) -> Reply:
        reading = self._clock()
        context = DecisionContext(Progress(secrets.token_hex(16), reading.at))
        return await run_decision(
            context,
            lambda: self._decide(message, context, seconds),
            max(seconds, REPLY_SECONDS),
            self._observer,
            lambda decision: self._reply(decision, message, context),
            at_once=lambda: self._decide_at_once(message, context, reading, seconds),
        )

    def _decide_at_once(
        self, message: CheckMessage, context: DecisionContext, reading: Reading, seconds: float
    ) -> LeasedResponse[Reply] | Decision | None:
        """Decide without waiting, where that is possible; see ``Pipeline.find_lease``."""
        if self.stopping:
            raise AdmissibilityError(
                Reason.STOPPING, "this gate is stopping and takes no new requests"
            )
        if seconds <= 0:
            raise AdmissibilityError(
                Reason.OVERLOADED, "the request waited too long to be accepted; try again later"
            )
        if self._in_flight > self._limits.max_concurrent:
            raise AdmissibilityError(
                Reason.OVERLOADED,
                f"more than {self._limits.max_concurrent} requests are in flight; try again later",
            )
        if reading.problem:
            self._pipeline.forget()
            raise AdmissibilityError(Reason.CLOCK_UNRELIABLE, reading.problem)
        self._pipeline.trust.current()  # a gate that is not ready answers 503 to any request
        lease = self._pipeline.find_lease(message, context)
        if lease is None:
            return None
        if lease.reply is None or not lease.shared.filled or _removes_more(context):
            return context.renewed(lease)
        reply = context.progress.id.encode().join(lease.reply)
        return LeasedResponse(reply, context.leased_outcome(lease))

    async def _decide(
        self, message: CheckMessage, context: DecisionContext, seconds: float
    ) -> Decision:
        if isinstance(message, LargeMessage):  # decided by few anyway, after a worker parsed it
            return await self._pipeline.check(message, context)
        async with self._queue.slot(0.7 * seconds):
            return await self._pipeline.check(message, context)

    def _reply(self, decision: Decision, message: CheckMessage, context: DecisionContext) -> Reply:
        """Write the response; where other decisions share its bytes, join them with this id."""
        if context.request is None and not decision.allowed:
            # A request that is refused before it is parsed is still named in the log.
            context.request = describe(message)
        lease, shared = context.lease, context.shared
        if not decision.allowed or context.metadata or _removes_more(context):
            return self._respond(decision, context)
        if lease is None:
            if shared is None:
                return self._respond(decision, context)
            return self._join_shared(shared, decision, context)
        if lease.reply is None:
            mark = secrets.token_hex(16)
            written = self._respond(replace(decision, id=mark), context)
            lease.reply = written.SerializeToString().split(mark.encode())
        return decision.id.encode().join(lease.reply)

    def _join_shared(
        self, shared: SharedOutput, decision: Decision, context: DecisionContext
    ) -> Reply:
        """Answer as ``_respond``, with what is serialized already where ids and times fit in."""
        until = rfc3339(decision.lease_until or decision.at).encode()
        parts = shared.responses.get(len(until))
        if parts is None:
            mark = secrets.token_hex(16)
            written = self._respond(replace(decision, id=mark), context).SerializeToString()
            parts = tuple(part.split(mark.encode()) for part in written.split(until))
            if len(parts) != 2:  # the same text is elsewhere in it too
                return self._respond(decision, context)
            shared.responses[len(until)] = parts
        own = decision.id.encode()
        return until.join([own.join(part) for part in parts])

    def _respond(self, decision: Decision, context: DecisionContext) -> pb.CheckResponse:
        settings = self._pipeline.settings
        return check_response.respond(
            decision,
            context.request,
            credential_header=settings.credential_header,
            gate_name=settings.gate_name,
            metadata=context.metadata,
            shape=_error_shape(decision, context.request),
        )


def _removes_more(context: DecisionContext) -> bool:
    """Return whether the response must remove more headers than that of another request."""
    return context.request is None or bool(check_response.own_headers(context.request))


def _error_shape(decision: Decision, request: HttpRequest | None) -> ErrorShape:
    """Return the form of a denial's body: that of the request's route, where one is known."""
    if decision.allowed or request is None:
        return OPENAI
    return error_shape(request.api, request.method, request.path)


_FAILED = check_response.denial(INTERNAL.reason, INTERNAL.message, "")


def _serialized(reply: Reply) -> bytes:
    return reply if isinstance(reply, bytes) else reply.SerializeToString()


def _handler(service: Authorization) -> grpc.GenericRpcHandler[Any, Any]:
    """Return the service's handler, which leaves large messages undecoded (``LargeMessage``)."""
    check = grpc.unary_unary_rpc_method_handler(
        service.answer,
        request_deserializer=decode_message,
        response_serializer=_serialized,
    )
    return grpc.method_handlers_generic_handler(SERVICE, {"Check": check})


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
        self._server.add_generic_rpc_handlers((_handler(service),))
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
