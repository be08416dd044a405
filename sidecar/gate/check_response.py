"""Writes Envoy's ``CheckResponse``: a denial, unless the decision allows.

Every response is built as a denial first, because Envoy treats an empty ``CheckResponse`` as an
allow; only ``respond`` turns it into an allow, and only for a decision that allows.
``error_response`` is left out of our definitions: with ``failure_mode_allow`` it would allow.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.decide import Decision
from sidecar.core.reasons import Reason, http_status, remedy
from sidecar.core.sandbox import MANIFEST_HEADER
from sidecar.core.window import rfc3339
from sidecar.extract.http_request import OWN_PREFIX, SPECIFICATION_HEADER, HttpRequest
from sidecar.providers.error_shapes import OPENAI, Denied, ErrorShape

OK, PERMISSION_DENIED, UNAUTHENTICATED = 0, 7, 16
DECISION_ID = "x-admissibility-decision-id"
REASON = "x-admissibility-reason"
MAX_MESSAGE_CHARS = 1024
ADMITTED, SANDBOX, GATE = "admitted", "sandbox", "gate"
"""Keys of the dynamic metadata that a seal requires: one of the first two true, and the gate's
name. An allow on a sandbox route has ``sandbox`` and no ``admitted``, so that the seal of a
production route refuses it, and that of a sandbox route every other allow."""
ANNOUNCED_END, ANNOUNCED_BY = "announced_end", "announced_by"
"""Keys that are there from 90 days before a published end of the model: when, and by whom."""


def respond(
    decision: Decision,
    request: HttpRequest | None,
    *,
    credential_header: str,
    gate_name: str,
    metadata: Mapping[str, str] | None = None,
    shape: ErrorShape = OPENAI,
) -> pb.CheckResponse:
    """Write the ``CheckResponse``: a denial, unless ``decision`` allows.

    An allow carries dynamic metadata for the seal, the RBAC filter behind ext_authz that passes
    only what carries it. Envoy emits it in the namespace ``envoy.filters.http.ext_authz`` whatever
    the filter's name is, so that only ``gate`` distinguishes two gates. A denial carries none: with
    ``shadow_mode`` Envoy would emit it and let the request pass.

    Args:
        decision: The decision.
        request: The request, where it could be read; an allow needs one.
        credential_header: The header to take away from an admitted request.
        gate_name: The name that the seal in Envoy's configuration requires.
        metadata: Further string fields of the dynamic metadata of an allow.
        shape: The form of errors that the caller's SDK parses.
    """
    reply = denial(decision.reason, decision.detail, decision.id, shape)
    if not decision.allowed or request is None:
        return reply
    reply.status.code = OK
    reply.status.message = ""
    reply.ok_response.headers_to_remove.append(credential_header)
    reply.ok_response.headers_to_remove.extend(own_headers(request))
    reply.ok_response.response_headers_to_add.append(_header(DECISION_ID, decision.id))
    if decision.call is not None and decision.call.sandbox:
        digests = ", ".join(_manifests(decision))
        reply.ok_response.response_headers_to_add.append(_header(MANIFEST_HEADER, digests))
    more = {k: v for k, v in (metadata or {}).items() if k not in {ADMITTED, SANDBOX, GATE}}
    reply.dynamic_metadata.update({**more, **_seal(decision, gate_name)})
    return reply


def own_headers(request: HttpRequest) -> tuple[str, ...]:
    """Return the names of a request's headers for the gate alone, the credential's aside."""
    named = request.header(SPECIFICATION_HEADER) is not None
    return (*request.named(OWN_PREFIX), *((SPECIFICATION_HEADER,) if named else ()))


def _seal(decision: Decision, gate_name: str) -> dict[str, Any]:
    """Return the fields of an allow's dynamic metadata, as JSON values."""
    call, until = decision.call, decision.lease_until
    ends = None if decision.assessment is None else decision.assessment.announced_end(decision.at)
    return {
        SANDBOX if call is not None and call.sandbox else ADMITTED: True,
        GATE: gate_name,
        "decision_id": decision.id,
        "models": [] if call is None else [f"{call.provider}/{name}" for name in call.named],
        "lease_until": rfc3339(decision.at if until is None else until),
        **({} if ends is None else {ANNOUNCED_END: rfc3339(ends.at), ANNOUNCED_BY: ends.whose}),
    }


def _manifests(decision: Decision) -> list[str]:
    """Return the digest of each model's own manifest, in the order of the call."""
    chains = () if decision.assessment is None else decision.assessment.chains
    return [chain.manifest.digest for chain in chains if chain.manifest is not None]


def denial(
    reason: Reason, detail: str, decision_id: str, shape: ErrorShape = OPENAI
) -> pb.CheckResponse:
    """Write a denial; a reason of ``admitted`` becomes ``internal_error``."""
    reason = Reason.INTERNAL_ERROR if reason is Reason.ADMITTED else reason
    status = http_status(reason)
    written = shape.write(
        Denied(
            status=status,
            code=reason.value,
            message=f"{_capped(detail)}. {remedy(reason)}",
            param="model" if reason is Reason.AMBIGUOUS_MODEL else None,
            decision_id=decision_id,
        )
    )
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
                *(_header(name, value) for name, value in written.headers.items()),
            ],
            body=json.dumps(written.body),
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
