"""Writes Envoy's ``CheckResponse``: a denial, unless the decision allows.

Every reply begins as a denial, because Envoy takes an empty ``CheckResponse`` for an allow; only
``respond`` turns it into an allow, and only for a decision that allows. ``error_response`` is not
in our definitions at all: with ``failure_mode_allow`` it would allow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.decide import Decision
from sidecar.core.reasons import Reason, http_status, remedy
from sidecar.extract.http_request import OWN_PREFIX, HttpRequest

OK, PERMISSION_DENIED, UNAUTHENTICATED = 0, 7, 16
DECISION_ID = "x-admissibility-decision-id"
REASON = "x-admissibility-reason"
MAX_MESSAGE_CHARS = 1024

_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    503: "server_error",
}


def respond(
    decision: Decision,
    request: HttpRequest | None,
    *,
    credential_header: str,
    metadata: Mapping[str, str] | None = None,
) -> pb.CheckResponse:
    """Write the reply: a denial, unless ``decision`` allows.

    Args:
        decision: The decision.
        request: The request, where it could be read; an allow needs one.
        credential_header: The header to take away from an admitted request.
        metadata: String fields of the dynamic metadata that an allow carries.
    """
    reply = denial(decision.reason, decision.detail, decision.id)
    if not decision.allowed or request is None:
        return reply
    reply.status.code = OK
    reply.status.message = ""
    reply.ok_response.headers_to_remove.append(credential_header)
    reply.ok_response.headers_to_remove.extend(request.named(OWN_PREFIX))
    reply.ok_response.response_headers_to_add.append(_header(DECISION_ID, decision.id))
    for key, value in (metadata or {}).items():
        reply.dynamic_metadata[key] = value
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
