"""Writes a denial in the form that an API's own SDKs parse, so that they raise a readable error.

Each shape puts the reason code, the message with its remedy and the decision id where the SDK's
exception shows them: in fields of their own where the form has such fields, else in the message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Denied:
    """What a denial states, whatever its form.

    Attributes:
        status: HTTP status.
        code: Reason code, such as ``withdrawn``.
        message: What was refused and what to do.
        param: Name of the parameter at fault; ``None`` if it is none.
        decision_id: Id of the decision; empty if there is none.
    """

    status: int
    code: str
    message: str
    param: str | None
    decision_id: str

    @property
    def sentence(self) -> str:
        """Return the message with code and decision id, for a form that has no field for them."""
        about = [self.code, *([f"decision {self.decision_id}"] if self.decision_id else [])]
        return f"{self.message} [{', '.join(about)}]"


@dataclass(frozen=True, slots=True)
class Written:
    """A denial as it is sent: a JSON object, and headers beside Content-Type."""

    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ErrorShape:
    """The form of an API's errors.

    Attributes:
        name: Name of the form, for the page of operations.
        source: Where the API's owner describes it.
        write: Writes a denial in this form.
    """

    name: str
    source: str
    write: Callable[[Denied], Written] = field(compare=False)


_OPENAI_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
    503: "server_error",
}


def _openai(denied: Denied) -> Written:
    return Written(
        {
            "error": {
                "message": denied.message,
                "type": _OPENAI_TYPES[denied.status],
                "code": denied.code,
                "param": denied.param,
                # Of an upload, Envoy's header names the decision that admitted it.
                "decision_id": denied.decision_id,
            }
        }
    )


def _azure(denied: Denied) -> Written:
    """Write OpenAI's fields and Azure's ``target`` and ``innererror`` side by side.

    Azure OpenAI is called through the OpenAI SDK, and through Azure's own, which reads the latter.
    """
    error = {
        **_openai(denied).body["error"],
        "status": denied.status,
        "target": denied.param,
        "innererror": {"code": denied.code, "decision_id": denied.decision_id},
    }
    return Written({"error": error})


_BEDROCK_TYPES = {
    400: "ValidationException",
    401: "AccessDeniedException",
    403: "AccessDeniedException",
    413: "ValidationException",
    415: "ValidationException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}
"""Exceptions that the service model declares; SDKs retry the last alone, for its status too."""


def _bedrock(denied: Denied) -> Written:
    return Written(
        {"message": denied.sentence}, {"x-amzn-errortype": _BEDROCK_TYPES[denied.status]}
    )


_GOOGLE_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    413: "INVALID_ARGUMENT",
    415: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}


def _google(denied: Denied) -> Written:
    """Write a ``google.rpc.Status`` with an ``ErrorInfo``, whose reason is UPPER_SNAKE_CASE."""
    metadata = {"code": denied.code, "decision_id": denied.decision_id}
    if denied.param is not None:
        metadata["param"] = denied.param
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": denied.code.upper(),
        "domain": "admissibility",
        "metadata": metadata,
    }
    return Written(
        {
            "error": {
                "code": denied.status,
                "message": denied.message,
                "status": _GOOGLE_STATUSES[denied.status],
                "details": [info],
            }
        }
    )


_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    413: "request_too_large",
    415: "invalid_request_error",
    429: "rate_limit_error",
    503: "api_error",
}


def _anthropic(denied: Denied) -> Written:
    return Written(
        {
            "type": "error",
            "error": {
                "type": _ANTHROPIC_TYPES[denied.status],
                "message": denied.message,
                "code": denied.code,
                "decision_id": denied.decision_id,
            },
        }
    )


def _ollama(denied: Denied) -> Written:
    return Written({"error": denied.sentence})


OPENAI = ErrorShape("OpenAI", "OpenAI API reference, Error codes", _openai)
AZURE = ErrorShape("Azure OpenAI", "Azure REST API guidelines, Handling errors", _azure)
BEDROCK = ErrorShape(
    "AWS", "Smithy, aws.protocols#restJson1, Operation error serialization", _bedrock
)
GOOGLE = ErrorShape("Google", "AIP-193, Errors; google.rpc.Status", _google)
ANTHROPIC = ErrorShape("Anthropic", "Anthropic API reference, Errors", _anthropic)
OLLAMA = ErrorShape("Ollama", "Ollama API documentation, Errors", _ollama)
