"""Each form of errors is whole, and each route has the form that its clients parse."""

from __future__ import annotations

import pytest

from sidecar.core.reasons import Reason, http_status
from sidecar.extract.router import error_shape
from sidecar.providers.error_shapes import (
    ANTHROPIC,
    AZURE,
    BEDROCK,
    GOOGLE,
    OLLAMA,
    OPENAI,
    Denied,
    ErrorShape,
    Written,
)

SHAPES = (ANTHROPIC, AZURE, BEDROCK, GOOGLE, OLLAMA, OPENAI)
WITHDRAWN = Denied(403, "withdrawn", "corpus withdrawn. Contact X.", None, "d-1")
TWICE = Denied(400, "ambiguous_model", "two models. Name one.", "model", "")
_OPENAI = {
    "message": "corpus withdrawn. Contact X.",
    "type": "permission_error",
    "code": "withdrawn",
    "param": None,
    "decision_id": "d-1",
}
SENTENCE = "corpus withdrawn. Contact X. [withdrawn, decision d-1]"

WHOLE = {
    OPENAI: Written({"error": _OPENAI}),
    AZURE: Written(
        {
            "error": {
                **_OPENAI,
                "status": 403,
                "target": None,
                "innererror": {"code": "withdrawn", "decision_id": "d-1"},
            }
        }
    ),
    BEDROCK: Written({"message": SENTENCE}, {"x-amzn-errortype": "AccessDeniedException"}),
    GOOGLE: Written(
        {
            "error": {
                "code": 403,
                "message": "corpus withdrawn. Contact X.",
                "status": "PERMISSION_DENIED",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "WITHDRAWN",
                        "domain": "admissibility",
                        "metadata": {"code": "withdrawn", "decision_id": "d-1"},
                    }
                ],
            }
        }
    ),
    ANTHROPIC: Written(
        {
            "type": "error",
            "error": {
                "type": "permission_error",
                "message": "corpus withdrawn. Contact X.",
                "code": "withdrawn",
                "decision_id": "d-1",
            },
        }
    ),
    OLLAMA: Written({"error": SENTENCE}),
}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape.name))
def test_each_form_states_code_message_remedy_and_decision(shape: ErrorShape) -> None:
    assert shape.write(WITHDRAWN) == WHOLE[shape]


def test_the_parameter_at_fault_is_named_where_the_form_has_a_field_for_it() -> None:
    named = {shape.name: "'model'" in str(shape.write(TWICE).body) for shape in SHAPES}
    assert named == {
        "Anthropic": False,
        "AWS": False,
        "Azure OpenAI": True,
        "Google": True,
        "Ollama": False,
        "OpenAI": True,
    }
    assert OLLAMA.write(TWICE).body == {"error": "two models. Name one. [ambiguous_model]"}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape.name))
def test_every_status_of_a_denial_can_be_written_in_every_form(shape: ErrorShape) -> None:
    for reason in set(Reason) - {Reason.ADMITTED}:
        denied = Denied(http_status(reason), reason.value, "m", None, "d")
        assert reason.value in str(shape.write(denied).body)


@pytest.mark.parametrize(
    ("api", "method", "path", "shape"),
    [
        ("openai", "POST", "/v1/chat/completions", OPENAI),
        ("azure", "POST", "/openai/deployments/d/chat/completions?api-version=x", AZURE),
        ("azure", "GET", "/nowhere", AZURE),
        ("bedrock", "POST", "/model/arn%3Aaws/converse", BEDROCK),
        ("bedrock", "POST", "/openai/v1/chat/completions", OPENAI),
        ("vertex", "POST", "/v1/projects/a/locations/b/endpoints/1:generateContent", GOOGLE),
        ("vertex", "POST", "/v1/projects/a/locations/b/endpoints/openapi/embeddings", OPENAI),
        ("vllm", "POST", "/v1/messages", ANTHROPIC),
        ("vllm", "POST", "/v1/completions", OPENAI),
        ("ollama", "POST", "/v1/messages/count_tokens", ANTHROPIC),
        ("ollama", "POST", "/v1/chat/completions", OPENAI),
        ("ollama", "POST", "/api/chat", OLLAMA),
        ("ollama", "BREW", "//%2e?;", OLLAMA),
        ("a table that is not there", "POST", "/v1/messages", OPENAI),
        ("", "", "", OPENAI),
    ],
)
def test_a_route_is_answered_in_the_form_that_its_clients_parse(
    api: str, method: str, path: str, shape: ErrorShape
) -> None:
    assert error_shape(api, method, path) == shape
