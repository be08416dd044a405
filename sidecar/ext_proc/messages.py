"""Reads and writes the messages of Envoy's external processing protocol."""

from __future__ import annotations

from sidecar._pb import ext_authz_pb2 as auth
from sidecar._pb import ext_proc_pb2 as pb
from sidecar.core.decide import Decision
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract import check_request
from sidecar.extract.http_request import HttpRequest
from sidecar.extract.router import error_shape
from sidecar.gate import check_response
from sidecar.providers.error_shapes import OPENAI


def request_head(message: pb.ProcessingRequest) -> HttpRequest | None:
    """Return the request's head, for the log; ``None`` if the message has none."""
    if message.WhichOneof("request") != "request_headers":
        return None
    lines = header_lines(message.request_headers)
    head = dict(lines)
    return HttpRequest(
        method=head.get(":method", ""),
        path=head.get(":path", ""),
        headers=tuple(line for line in lines if not line[0].startswith(":")),
        request_id=next((value for name, value in lines if name == check_request.REQUEST_ID), ""),
    )


def header_lines(headers: pb.HttpHeaders) -> tuple[tuple[str, str], ...]:
    """Return the lines of a head, names in lower case, values as Latin-1."""
    return tuple(
        (line.key.lower(), line.raw_value.decode("latin-1") if line.raw_value else line.value)
        for line in headers.headers.headers
    )


def body_chunk(piece: bytes, *, last: bool = False) -> pb.BodyResponse:
    """Return a piece of a body for Envoy to forward, in full duplex."""
    streamed = pb.StreamedBodyResponse(body=piece, end_of_stream=last)
    return pb.BodyResponse(
        response=pb.CommonResponse(body_mutation=pb.BodyMutation(streamed_response=streamed))
    )


def refusal(decision: Decision, request: HttpRequest | None = None) -> pb.ProcessingResponse:
    """Write an ``ImmediateResponse`` with the same status, headers and body as ext_authz's."""
    shape = OPENAI if request is None else error_shape(request.api, request.method, request.path)
    denied = check_response.denial(
        decision.reason, decision.detail, decision.id, shape
    ).denied_response
    options = [
        auth.HeaderValueOption(
            header=auth.HeaderValue(
                key=option.header.key, raw_value=option.header.value.encode("latin-1")
            ),
            append_action=auth.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
        )
        for option in denied.headers
    ]
    return pb.ProcessingResponse(
        immediate_response=pb.ImmediateResponse(
            status=denied.status,
            headers=pb.HeaderMutation(set_headers=options),
            body=denied.body.encode("utf-8"),
            details=f"admissibility_{decision.reason.value}",
        )
    )


def too_many_streams() -> AdmissibilityError:
    """Return the refusal of a stream over the limit."""
    return AdmissibilityError(Reason.OVERLOADED, "too many requests are in flight; try again later")
