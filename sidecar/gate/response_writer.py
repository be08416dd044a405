"""Writes the response to a decision: a ``CheckResponse``, or bytes that decisions share.

The ids of decisions are all of one length, so that the response of a lease's first decision is that
of all its decisions, with another id. Without a lease the end of its validity differs too. So most
responses are joined from bytes that were serialized once.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.decide import Decision
from sidecar.core.window import rfc3339
from sidecar.extract.http_request import HttpRequest
from sidecar.extract.router import error_shape
from sidecar.gate import check_response
from sidecar.gate.decision_context import DecisionContext
from sidecar.gate.leases import Lease
from sidecar.gate.lifecycle import INTERNAL
from sidecar.observe.outcome import SharedOutput
from sidecar.providers.error_shapes import OPENAI, ErrorShape

Response = pb.CheckResponse | bytes
"""A ``CheckResponse``, or a serialized one."""

FAILED = check_response.denial(INTERNAL.reason, INTERNAL.message, "")
"""The response where no other can be written."""


@dataclass(frozen=True, slots=True)
class ResponseWriter:
    """Writes responses with the settings of one gate.

    Attributes:
        credential_header: The header to take away from an admitted request.
        gate_name: The name that the seal in Envoy's configuration requires.
    """

    credential_header: str
    gate_name: str

    def renew(self, lease: Lease, context: DecisionContext) -> bytes | None:
        """Return the response of a lease with another id; ``None`` where more of it must change.

        Args:
            lease: The lease that was found for the request.
            context: The request, and its decision's id.
        """
        if lease.response is None or not lease.shared.filled or _removes_more(context):
            return None
        return context.progress.id.encode().join(lease.response)

    def write(self, decision: Decision, context: DecisionContext) -> Response:
        """Write the response of a decision, from serialized parts where others share them."""
        if not decision.allowed or context.metadata or _removes_more(context):
            return self._respond(decision, context)
        if context.lease is not None:
            return self._from_lease(context.lease, decision, context)
        if context.shared is not None:
            return self._from_shared(context.shared, decision, context)
        return self._respond(decision, context)

    def _from_lease(self, lease: Lease, decision: Decision, context: DecisionContext) -> bytes:
        """Join the parts of the lease's response with this decision's id; make them at first."""
        if lease.response is None:
            mark, written = self._with_mark(decision, context)
            lease.response = written.split(mark)
        return decision.id.encode().join(lease.response)

    def _from_shared(
        self, shared: SharedOutput, decision: Decision, context: DecisionContext
    ) -> Response:
        """Join shared parts with this decision's id and ``lease_until``, where both fit in."""
        until = rfc3339(decision.lease_until or decision.at).encode()
        parts = shared.responses.get(len(until))
        if parts is None:
            mark, written = self._with_mark(decision, context)
            parts = tuple(part.split(mark) for part in written.split(until))
            if len(parts) != 2:  # the same text is elsewhere in it too
                return self._respond(decision, context)
            shared.responses[len(until)] = parts
        own = decision.id.encode()
        return until.join([own.join(part) for part in parts])

    def _with_mark(self, decision: Decision, context: DecisionContext) -> tuple[bytes, bytes]:
        """Return a random mark, and the serialized response with it in place of the id."""
        mark = secrets.token_hex(16)
        written = self._respond(replace(decision, id=mark), context)
        return mark.encode(), written.SerializeToString()

    def _respond(self, decision: Decision, context: DecisionContext) -> pb.CheckResponse:
        return check_response.respond(
            decision,
            context.request,
            credential_header=self.credential_header,
            gate_name=self.gate_name,
            metadata=context.metadata,
            shape=_error_shape(decision, context.request),
        )


def serialize(response: Response) -> bytes:
    """Return the bytes of a response."""
    return response if isinstance(response, bytes) else response.SerializeToString()


def _removes_more(context: DecisionContext) -> bool:
    """Return whether the response must remove more headers than that of another request."""
    return context.request is None or bool(check_response.own_headers(context.request))


def _error_shape(decision: Decision, request: HttpRequest | None) -> ErrorShape:
    """Return the form of a denial's body: that of the request's route, where one is known."""
    if decision.allowed or request is None:
        return OPENAI
    return error_shape(request.api, request.method, request.path)
