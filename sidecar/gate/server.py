"""The gRPC service that Envoy asks: whatever happens, the reply is a denial or a proven allow.

Nothing is raised out of ``Check``: with ``failure_mode_allow`` Envoy would take an exception for
an allow. The deadline is ours and ends before Envoy's. Too many requests at once are refused at
once; grpc.aio's own limit would queue them behind each other until Envoy gave up.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from sidecar._pb import ext_authz_pb2 as pb
from sidecar._pb import ext_authz_pb2_grpc as rpc
from sidecar.core.decide import Decision, Progress, refuse
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.gate import envoy
from sidecar.gate.passage import Passage
from sidecar.gate.pipeline import Pipeline
from sidecar.observe.outcome import Outcome

log = logging.getLogger("sidecar.gate")

SERVICE = "envoy.service.auth.v3.Authorization"
_ENVELOPE_BYTES = 1 << 20


class Observer(Protocol):
    """Whoever keeps account of decisions."""

    def ready(self) -> bool:
        """Whether decisions can be recorded now; nothing is admitted unrecorded."""
        ...

    def begin(self) -> None:
        """A request came in."""
        ...

    def end(self, outcome: Outcome | None) -> None:
        """A request was answered, or was given up by Envoy (null)."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one request, and on all of them together."""

    deadline_seconds: float
    max_concurrent: int


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Authorization(rpc.AuthorizationServicer):
    """Envoy's ``Authorization`` service over a pipeline."""

    def __init__(
        self,
        pipeline: Pipeline,
        limits: Limits,
        observer: Observer,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._pipeline = pipeline
        self._limits = limits
        self._observer = observer
        self._clock = clock
        self._in_flight = 0

    async def Check(self, request: pb.CheckRequest, context: Any) -> pb.CheckResponse:  # noqa: ANN401, ARG002, N802
        """Answer one question; never raises, but where Envoy itself gave up."""
        reply = _FAILED
        self._in_flight += 1
        try:
            reply = await self._answer(request)
        except Exception:
            log.exception("a reply could not be written")
        finally:
            self._in_flight -= 1
        return reply

    async def _answer(self, message: pb.CheckRequest) -> pb.CheckResponse:
        passage = Passage(Progress(secrets.token_hex(16), self._clock()))
        outcome = None
        self._observer.begin()
        try:
            decision = self._recorded(await self._decide(message, passage), passage)
            reply = self._reply(decision, passage)
            outcome = passage.outcome(decision)
        finally:
            self._observer.end(outcome)
        return reply

    async def _decide(self, message: pb.CheckRequest, passage: Passage) -> Decision:
        """A decision under every circumstance: what is raised becomes its reason."""
        try:
            if self._in_flight > self._limits.max_concurrent:
                raise AdmissibilityError(Reason.OVERLOADED, "too many requests at once")
            async with asyncio.timeout(self._limits.deadline_seconds):
                return await self._pipeline.check(message, passage)
        except AdmissibilityError as error:
            return refuse(passage.progress, error)
        except TimeoutError:
            late = AdmissibilityError(Reason.DEADLINE_EXCEEDED, "the decision took too long")
            return refuse(passage.progress, late)
        except Exception:
            log.exception("decision %s failed", passage.progress.id)
            return refuse(passage.progress, _INTERNAL)

    def _recorded(self, decision: Decision, passage: Passage) -> Decision:
        if decision.allowed and not self._observer.ready():
            lost = AdmissibilityError(Reason.INTERNAL_ERROR, "the decision cannot be recorded")
            return refuse(passage.progress, lost)
        return decision

    def _reply(self, decision: Decision, passage: Passage) -> pb.CheckResponse:
        header = self._pipeline.settings.credential_header
        return envoy.respond(decision, passage.request, credential_header=header)


_INTERNAL = AdmissibilityError(Reason.INTERNAL_ERROR, "the gate failed")
_FAILED = envoy.denial(_INTERNAL.reason, _INTERNAL.message, "")


class GateServer:
    """The listening server with its health service; to be used inside the event loop."""

    def __init__(self, service: Authorization, *, max_body_bytes: int, reuse_port: bool) -> None:
        # Larger than any body that is read, so that one too large is told so by the gate.
        size = 2 * max_body_bytes + _ENVELOPE_BYTES
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", size),
                ("grpc.so_reuseport", int(reuse_port)),
            ]
        )
        self._health = health.aio.HealthServicer()  # type: ignore[attr-defined]  # not in the stubs
        rpc.add_AuthorizationServicer_to_server(service, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    async def start(self, address: str) -> int:
        """Listen on ``host:port``, not ready yet; return the port.

        Raises:
            OSError: The address cannot be had.
        """
        await self.set_ready(ready=False)
        try:
            port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}") from error
        if port == 0:
            raise OSError(f"cannot listen on {address}")
        await self._server.start()
        return port

    async def set_ready(self, *, ready: bool) -> None:
        """Tell health checks whether requests can be decided."""
        states = health_pb2.HealthCheckResponse
        status = states.SERVING if ready else states.NOT_SERVING
        for name in ("", SERVICE):
            await self._health.set(name, status)

    async def stop(self, grace_seconds: float) -> None:
        """Refuse new requests, and give the ones in flight ``grace_seconds``."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_seconds)
