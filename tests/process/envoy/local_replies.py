"""What Envoy answers by itself, in the form of each API's errors; written a second time here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sidecar.providers import error_shapes
from sidecar.providers.error_shapes import Denied, ErrorShape
from tests.process.envoy.config import Config
from tests.support.site.envoy import Answer

CODE = "%RESPONSE_CODE_DETAILS%"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why Envoy answers: CEL over its own name of the cause, status, and text for the caller."""

    expression: str
    status: int
    message: str


CAUSES = (
    Cause(
        "response.code_details == 'request_payload_too_large'",
        413,
        "The body is longer than this gateway reads: send a shorter one, or upload a file and name"
        " it.",
    ),
    Cause(
        "response.code_details == 'ext_authz_error' ||"
        " response.code_details.startsWith('ext_proc_error')",
        503,
        "The gate does not answer, so nothing is admitted: send it again soon.",
    ),
    Cause(
        "response.code >= 400 && response.code_details != 'direct_response' &&"
        " !response.code_details.startsWith('ext_authz_denied') &&"
        " !response.code_details.startsWith('admissibility_')",
        503,
        "The gateway answered by itself: send it again, and if that does not help, show its"
        " operator the code.",
    ),
)
"""The last is of everything but what the gate or a route of the operator answered."""
TOO_LONG, NO_GATE, BY_ITSELF = CAUSES
SEALED = "rbac_access_denied_matched_policy[none]"

_FILTER = "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"


def local_replies(shape: ErrorShape) -> Config:
    """The mappers of one form of errors."""
    return {"mappers": [_mapper(shape, cause) for cause in CAUSES]}


def _mapper(shape: ErrorShape, cause: Cause) -> Config:
    written = shape.write(Denied(cause.status, CODE, cause.message, None, ""))
    added = [{"header": {"key": key, "value": value}} for key, value in written.headers.items()]
    return {
        "filter": {
            "extension_filter": {
                "name": "envoy.access_loggers.extension_filters.cel",
                "typed_config": {"@type": _FILTER, "expression": cause.expression},
            }
        },
        **({"headers_to_add": added} if added else {}),
        "body_format_override": {"json_format": _without_nothing(dict(written.body))},
    }


def _without_nothing(value: Any) -> Any:
    """Leave out what only a decision has; a status is that of the answer."""
    if isinstance(value, dict):
        # Google's reasons are UPPER_SNAKE_CASE, which Envoy's names are not.
        kept = {
            key: "GATEWAY" if key == "reason" else _without_nothing(item)
            for key, item in value.items()
        }
        return {key: item for key, item in kept.items() if item not in (None, "", {})}
    if isinstance(value, list):
        return [_without_nothing(item) for item in value]
    return "%RESPONSE_CODE%" if isinstance(value, int) else value


SHAPES = {
    "azure": error_shapes.AZURE,
    "bedrock": error_shapes.BEDROCK,
    "vertex": error_shapes.GOOGLE,
}
"""Every other reference has OpenAI's form."""


def shape_of(name: str) -> ErrorShape:
    """The form of a reference's API."""
    return SHAPES.get(name, error_shapes.OPENAI)


Reply = tuple[int, Any, dict[str, str]]


def shown(answer: Answer) -> Reply:
    """What a client sees of an answer: status, body, and the headers that an SDK reads."""
    headers = {
        name: value
        for name, value in answer.headers.items()
        if name in {"content-type", "x-amzn-errortype"}
    }
    return answer.status, json.loads(answer.body), headers


def replied(name: str, cause: Cause, status: int, code: str) -> Reply:
    """What Envoy answers by itself in a reference configuration."""
    written = shape_of(name).write(Denied(cause.status, code, cause.message, None, ""))
    body = json.loads(json.dumps(written.body), object_hook=_given)
    if name == "azure":
        body["error"]["status"] = status
    if name == "vertex":
        body["error"]["code"] = status
        body["error"]["details"][0]["reason"] = "GATEWAY"
    headers = {"content-type": "application/json", **written.headers}
    return status, body, headers


def _given(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if item not in (None, "", {})}
