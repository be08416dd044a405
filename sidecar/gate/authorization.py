"""Answers Envoy's ``Check``: every response is a denial or a proven allow.

``Check`` raises nothing: with ``failure_mode_allow`` Envoy would treat an error as an allow. The
gate's own deadline ends before Envoy's. Requests over the concurrency limit are refused at once;
a limit of gRPC would queue them until Envoy timed out.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from sidecar._pb import ext_authz_pb2 as pb
from sidecar._pb import ext_authz_pb2_grpc as rpc
from sidecar.core.decide import Decision, Progress
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.parsed_request import CheckMessage, LargeMessage, decode_message, describe
from sidecar.gate.clock import Clock, Reading
from sidecar.gate.decision_context import DecisionContext
from sidecar.gate.lifecycle import LeasedResponse, Observer, run_decision
from sidecar.gate.pipeline import Pipeline
from sidecar.gate.request_queue import RequestQueue
from sidecar.gate.response_writer import FAILED, Response, ResponseWriter, serialize

log = logging.getLogger("sidecar.gate")

SERVICE = "envoy.service.auth.v3.Authorization"
REPLY_SECONDS = 0.25
"""Kept of Envoy's deadline for writing the decision down and for the way back."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one request (seconds), and on all requests in flight."""

    deadline_seconds: float
    max_concurrent: int
    slots: int = 16


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
        settings = pipeline.settings
        self._responses = ResponseWriter(settings.credential_header, settings.gate_name)
        self.stopping = False

    @property
    def in_flight(self) -> int:
        """Return the number of requests that are not answered yet."""
        return self._in_flight

    async def Check(self, request: CheckMessage, context: Any) -> pb.CheckResponse:  # noqa: ANN401, N802
        """Answer one ``CheckRequest``; raises only ``CancelledError``, where Envoy cancelled."""
        response = await self.answer(request, context)
        if isinstance(response, bytes):
            return pb.CheckResponse.FromString(response)
        return response

    async def answer(self, message: CheckMessage, grpc_context: Any) -> Response:  # noqa: ANN401
        """Answer as ``Check`` does, where possible with what is serialized already."""
        response: Response = FAILED
        self._in_flight += 1
        try:
            response = await self._answer(message, self._seconds(grpc_context))
        except Exception:
            log.exception("a CheckResponse could not be written")
        finally:
            self._in_flight -= 1
        return response

    def _seconds(self, grpc_context: Any) -> float:  # noqa: ANN401
        """Return the seconds until a decision is due: the gate's deadline, or Envoy's if nearer.

        Envoy's runs from the moment it sent the request, which may have waited to be accepted.
        """
        left = None if grpc_context is None else grpc_context.time_remaining()
        most = self._limits.deadline_seconds
        return most if left is None else min(most, round(left - REPLY_SECONDS, 2))

    async def _answer(self, message: CheckMessage, seconds: float) -> Response:
        """Run one decision about a message, to be made within ``seconds``."""
        reading = self._clock()
        context = DecisionContext(Progress(secrets.token_hex(16), reading.at))
        return await run_decision(
            context,
            lambda: self._decide(message, context, seconds),
            max(seconds, REPLY_SECONDS),
            self._observer,
            lambda decision: self._respond(decision, message, context),
            at_once=lambda: self._decide_at_once(message, context, reading, seconds),
        )

    def _decide_at_once(
        self, message: CheckMessage, context: DecisionContext, reading: Reading, seconds: float
    ) -> LeasedResponse[Response] | Decision | None:
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
        response = self._responses.renew(lease, context)
        if response is None:
            return context.renew(lease)
        return LeasedResponse(response, context.leased_outcome(lease))

    async def _decide(
        self, message: CheckMessage, context: DecisionContext, seconds: float
    ) -> Decision:
        if isinstance(message, LargeMessage):  # decided by few anyway, after a worker parsed it
            return await self._pipeline.check(message, context)
        async with self._queue.slot(0.7 * seconds):
            return await self._pipeline.check(message, context)

    def _respond(
        self, decision: Decision, message: CheckMessage, context: DecisionContext
    ) -> Response:
        if context.request is None and not decision.allowed:
            # A request that is refused before it is parsed is still named in the log.
            context.request = describe(message)
        return self._responses.write(decision, context)


def handler(service: Authorization) -> grpc.GenericRpcHandler[Any, Any]:
    """Return the service's handler, which leaves large messages undecoded (``LargeMessage``)."""
    check = grpc.unary_unary_rpc_method_handler(
        service.answer,
        request_deserializer=decode_message,
        response_serializer=serialize,
    )
    return grpc.method_handlers_generic_handler(SERVICE, {"Check": check})
