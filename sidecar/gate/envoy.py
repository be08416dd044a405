"""Envoy's side of the gate: its CheckRequest read, its CheckResponse written.

Reading takes nothing on trust: every header line by itself (``encode_raw_headers``), and no line
twice where two readers could choose differently. Writing begins with a denial, because Envoy takes
an empty reply for an allow; only ``respond`` turns it into anything else, and only for a decision
that allows. ``error_response`` does not exist in our definitions at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.decide import Decision
from sidecar.core.evidence import check_spiffe_id
from sidecar.core.reasons import EvidenceError, Reason, http_status, remedy
from sidecar.gate.http_request import OWN_PREFIX, HttpRequest
from sidecar.gate.refusals import malformed, unsupported
from sidecar.gate.slips import FIELD

OK, PERMISSION_DENIED, UNAUTHENTICATED = 0, 7, 16
DECISION_ID = "x-admissibility-decision-id"
REASON = "x-admissibility-reason"
REQUEST_ID = "x-request-id"
HOP = "xfcc_from"
MAX_MESSAGE_CHARS = 1024

_ONCE = frozenset(
    {
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "x-envoy-auth-partial-body",
        "x-forwarded-client-cert",
    }
)
"""Headers two readers could take different lines of."""

_HOST = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
"""One host. Envoy joins two ``Host`` lines by a comma, and each upstream would take its own."""

_OWN_NAME = re.compile(re.escape(OWN_PREFIX) + r"[a-z0-9-]+")
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    503: "server_error",
}


def read(message: pb.CheckRequest, *, credential_header: str) -> HttpRequest:
    """Read Envoy's question.

    Args:
        message: The question.
        credential_header: Name (lower case) of the header that carries a JWT-SVID.

    Raises:
        AdmissibilityError: ``malformed_request`` where a line that must be unique is there twice,
            or the parts contradict each other; ``unsupported_operation`` where the route is not
            set up for the gate.
    """
    attributes = message.attributes
    http = attributes.request.http
    if not http.header_map.headers:
        raise unsupported(
            "the gateway does not send headers line by line: have the operator set"
            " encode_raw_headers"
        )
    lines = [(line.key.lower(), _text(line)) for line in http.header_map.headers]
    _check_pseudo(lines, http)
    headers = tuple(line for line in lines if not line[0].startswith(":"))
    _refuse_repeats(headers, credential_header)
    _check_host(lines)
    provider = attributes.context_extensions.get("provider", "")
    if not provider:
        raise unsupported(
            "this route names no provider: have the operator set context_extensions on it"
        )
    request = HttpRequest(
        method=http.method,
        path=http.path,
        headers=headers,
        raw_body=http.raw_body,
        text_body=http.body,
        provider=provider,
        api=attributes.context_extensions.get("api", provider),
        principal=attributes.source.principal,
        certificate=attributes.source.certificate,
        hop=_hop(attributes.context_extensions),
    )
    # What Envoy says by itself is the number of a stream, which nothing else tells.
    return replace(request, request_id=request.header(REQUEST_ID) or http.id)


def _hop(extensions: Mapping[str, str]) -> str | None:
    """The peer whose word about a client certificate counts, where the route names one."""
    hop = extensions.get(HOP)
    if hop is None:
        return None
    try:
        check_spiffe_id(hop)
    except EvidenceError as error:
        raise unsupported(
            f"this route's {HOP} is no SPIFFE ID of a peer: have the operator correct it"
        ) from error
    return hop


def _text(line: pb.HeaderValue) -> str:
    return line.raw_value.decode("latin-1") if line.raw_value else line.value


def _check_pseudo(lines: list[tuple[str, str]], http: pb.AttributeContext.HttpRequest) -> None:
    """What the upstream will see as method and path is what the gate was told."""
    for name, told in ((":method", http.method), (":path", http.path)):
        if any(value != told for key, value in lines if key == name):
            raise malformed(f"two different values of {name}")


def _check_host(lines: list[tuple[str, str]]) -> None:
    hosts = {value for key, value in lines if key in {":authority", "host"}}
    if len(hosts) > 1 or not all(map(_HOST.fullmatch, hosts)):
        raise malformed("not one host, plainly written")


def _refuse_repeats(headers: tuple[tuple[str, str], ...], credential_header: str) -> None:
    seen: set[str] = set()
    for name, _ in headers:
        if name in seen and (name in _ONCE or name == credential_header):
            raise malformed(f"the header {name} is given twice")
        if name.startswith(OWN_PREFIX) and not _OWN_NAME.fullmatch(name):
            raise malformed("a header that imitates the gate's")
        seen.add(name)


def respond(
    decision: Decision,
    request: HttpRequest | None,
    *,
    credential_header: str,
    slip: str | None = None,
) -> pb.CheckResponse:
    """Write the reply: a denial, unless ``decision`` allows.

    Args:
        decision: The decision.
        request: The request, where it could be read; an allow needs one.
        credential_header: The header to take away from an admitted request.
        slip: What the gate tells itself about an admitted request, through Envoy.
    """
    reply = denial(decision.reason, decision.detail, decision.id)
    if not decision.allowed or request is None:
        return reply
    reply.status.code = OK
    reply.status.message = ""
    reply.ok_response.headers_to_remove.append(credential_header)
    reply.ok_response.headers_to_remove.extend(request.named(OWN_PREFIX))
    reply.ok_response.response_headers_to_add.append(_header(DECISION_ID, decision.id))
    if slip is not None:
        reply.dynamic_metadata[FIELD] = slip
    return reply


def denial(reason: Reason, detail: str, decision_id: str) -> pb.CheckResponse:
    """Write a denial; ``admitted`` is told as the internal error that it would be."""
    reason = Reason.INTERNAL_ERROR if reason is Reason.ADMITTED else reason
    status = http_status(reason)
    message = f"{_capped(detail)}. {remedy(reason)}"
    return pb.CheckResponse(
        status=pb.Status(
            code=UNAUTHENTICATED if status == 401 else PERMISSION_DENIED, message=reason.value
        ),
        denied_response=pb.DeniedHttpResponse(
            status=pb.HttpStatus(code=status),
            headers=[
                _header("content-type", "application/json"),
                _header(REASON, reason.value),
                _header(DECISION_ID, decision_id),
            ],
            body=json.dumps(
                {
                    "error": {
                        "message": message,
                        "type": _ERROR_TYPES[status],
                        "code": reason.value,
                        "param": "model" if reason is Reason.AMBIGUOUS_MODEL else None,
                        # Of an upload, Envoy's header names the decision that admitted it.
                        "decision_id": decision_id,
                    }
                }
            ),
        ),
    )


def _capped(detail: str) -> str:
    detail = detail.rstrip(".")
    return detail if len(detail) <= MAX_MESSAGE_CHARS else detail[:MAX_MESSAGE_CHARS] + "…"


def _header(name: str, value: str) -> pb.HeaderValueOption:
    return pb.HeaderValueOption(
        header=pb.HeaderValue(key=name, value=value),
        append_action=pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
