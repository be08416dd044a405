"""Requests to Azure and Bedrock: deployments and ARNs, each distinguished and named once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from sidecar.core.call import Call, Reference
from sidecar.core.reasons import Reason
from tests.support.gate.asking import ARN, Outcome, ambiguous, ask, get, post
from tests.support.gate.requests import CHAT, Lines, as_check_request

# ---- Azure ---------------------------------------------------------------------------------------

CHAT_AT = "/openai/deployments/support/chat/completions"


def test_every_model_of_azure_is_a_deployment() -> None:
    expected = Call("azure", "chat.completions", ("support",), deployments=("support",))
    version = "?api-version=2024-10-21"
    assert post("azure", CHAT_AT + version, {"messages": []}) == expected
    assert post("azure", CHAT_AT + version, {"model": "support"}) == expected
    assert post("azure", "/openai/v1/chat/completions", {"model": "support"}) == expected
    claude = {"model": "support", "max_tokens": 8, "messages": []}
    asked = post("azure", "/anthropic/v1/messages?beta=true", claude)
    assert asked == replace(expected, operation="messages")


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (CHAT_AT, {"model": "other"},
         ambiguous("different models are named: {deployment} in the path is 'support', model is"
                   " 'other'; leave the body's out, or have the operator set azure_body_model:"
                   " ignore")),
        (f"{CHAT_AT}?api-version=1&api-version=2", {},
         (Reason.MALFORMED_REQUEST,
          "api-version in the query may only be v1, latest, preview or a date such as 2024-10-21")),
        (f"{CHAT_AT}?model=x", {},
         ambiguous("the query names a model where this operation reads none")),
        ("/openai/deployments/a%2Fb/chat/completions", {},
         (Reason.MALFORMED_REQUEST,
          "path segment 3: a model id has only letters, digits and . _ : @ -, unescaped or"
          " percent-encoded once")),
        (CHAT_AT, {"data_sources": []},
         ambiguous("the key data_sources could make a server run another model")),
        ("/openai/deployments/support/extensions/chat/completions", {},
         (Reason.UNSUPPORTED_OPERATION, "extensions.chat.completions is refused: the deployment's"
          " extensions choose further models")),
    ],
)  # fmt: skip
def test_a_deployment_is_named_once(path: str, body: Any, expected: Outcome) -> None:
    assert post("azure", path, body) == expected


TWO_NAMES = {"model": "gpt-4o-2024-08-06", "messages": [{"role": "user", "content": "x"}]}
"""LangChain's class for Azure sends the base model's name too, for its own tracing."""


def test_the_deployment_decides_where_the_operator_lets_the_bodys_model_be_ignored() -> None:
    def asked(path: str, body: Any, api: str = "azure") -> Outcome:
        content = json.dumps(body).encode()
        message = as_check_request(path=path, body=content, provider=api)
        return ask(message, ignore_body_model=True)

    at = CHAT_AT + "?api-version=2024-10-21"
    chat = Call("azure", "chat.completions", ("support",), deployments=("support",))
    assert asked(at, TWO_NAMES) == replace(chat, ignored=("gpt-4o-2024-08-06",))
    assert asked(at, {**TWO_NAMES, "model": "support"}) == chat
    painted = {**TWO_NAMES, "tools": [{"type": "image_generation", "model": "painter"}]}
    assert asked(at, painted) == replace(
        chat,
        models=("support", "painter"),
        deployments=("support", "painter"),
        tool_types=("image_generation",),
        ignored=("gpt-4o-2024-08-06",),
    )
    assert asked(at, {**TWO_NAMES, "model": 7}) == (
        Reason.MALFORMED_REQUEST,
        "model must be a model id of 1 to 512 printable ASCII characters",
    )
    assert asked("/openai/v1/chat/completions", {"model": "support"}) == chat
    assert asked("/model/m/invoke", {"model": "n"}, "bedrock") == ambiguous(
        "different models are named: {model} in the path is 'm', model is 'n'"
    )


@pytest.mark.parametrize("blob", ["https://store.example/in.jsonl", {"url": "x"}])
def test_a_batch_from_the_callers_own_storage_is_refused(blob: Any) -> None:
    path = "/openai/batches?api-version=2025-04-01-preview"
    for body in ({"input_blob": blob}, {"input_file_id": "file_1", "input_blob": blob}):
        assert post("azure", path, {"endpoint": "/chat/completions", **body}) == (
            Reason.UNSUPPORTED_OPERATION,
            "batches.create with input_blob: what is stored upstream may name another model",
        )


# ---- Bedrock -------------------------------------------------------------------------------------


def escaped(model: str) -> str:
    return model.replace(":", "%3A").replace("/", "%2F")


@pytest.mark.parametrize(
    ("model", "deployed"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", False),
        (f"{ARN}:custom-model/amazon.nova/abc123", False),
        (f"{ARN}:imported-model/abc123", False),
        (f"{ARN}:custom-model-deployment/abc123", True),
        (f"{ARN}:provisioned-model/abc123", True),
        (f"{ARN}:inference-profile/eu.amazon.nova", True),
        (f"{ARN}:application-inference-profile/abc123", True),
        ("a1b2c3d4e5f6", True),
        ("provisioned-of-acme", True),
    ],
)
def test_an_arn_in_the_path_is_decoded_once_and_distinguished(model: str, deployed: bool) -> None:
    call = Call("bedrock", "converse", (model,), deployments=(model,) if deployed else ())
    assert post("bedrock", f"/model/{escaped(model)}/converse", {"messages": []}) == call


def test_the_id_of_an_inference_profile_names_its_model_too() -> None:
    model = "eu.amazon.nova-lite-v1:0"
    call = Call("bedrock", "converse", (model, "amazon.nova-lite-v1:0"))
    assert post("bedrock", f"/model/{escaped(model)}/converse", {"messages": []}) == call


@pytest.mark.parametrize("kind", ["prompt", "prompt-router", "default-prompt-router", "flow"])
def test_what_chooses_models_by_itself_is_refused(kind: str) -> None:
    model = f"{ARN}:{kind}/x"
    assert post("bedrock", f"/model/{escaped(model)}/converse", {}) == (
        Reason.UNSUPPORTED_OPERATION,
        f"{model} is a router that chooses models; name a model",
    )


@pytest.mark.parametrize(
    "segment",
    ["arn%253Aaws", "arn%3Aaws%3A..%2Fx", "a%2Fb", "arn:aws:x/../y", "arn%3Aaws%3Ab%00", "..%2Fm"],
)
def test_a_name_in_a_path_is_plain_or_an_arn(segment: str) -> None:
    outcome = post("bedrock", f"/model/{segment}/converse", {})
    assert not isinstance(outcome, Call)
    assert outcome[0] in {Reason.MALFORMED_REQUEST, Reason.UNSUPPORTED_OPERATION}


def test_a_job_of_bedrock_is_its_owners_by_its_arn() -> None:
    opened = frozenset({"fine_tuning.jobs.retrieve", "fine_tuning.jobs.cancel"})
    arn = f"{ARN}:model-customization-job/base/abc"
    path = f"/model-customization-jobs/{escaped(arn)}"
    owned = (Reference("fine_tuning_job", arn),)
    call = Call("bedrock", "fine_tuning.jobs.retrieve", (), modelless=True, owned=owned)
    assert get("bedrock", path, opened=opened) == call
    stopped = replace(call, operation="fine_tuning.jobs.cancel")
    assert get("bedrock", f"{path}/stop", opened=opened, method="POST") == stopped
    for other in ("..%2Fx", "a%2Fb", "arn%3Aaws%3A..%2F"):
        refused = get("bedrock", f"/model-customization-jobs/{other}", opened=opened)
        assert not isinstance(refused, Call)
        assert refused[0] is Reason.MALFORMED_REQUEST


def test_a_model_in_a_native_body_is_that_of_the_path_or_refused() -> None:
    """Some models' own form has ``model`` in it; Converse has it nowhere."""
    assert post("bedrock", "/model/acme.m/invoke", {"model": "acme.m"}) == Call(
        "bedrock", "invoke", ("acme.m",)
    )
    assert post("bedrock", "/model/acme.m/invoke", {"model": "n"}) == ambiguous(
        "different models are named: {model} in the path is 'acme.m', model is 'n'"
    )
    assert post("bedrock", "/model/acme.m/converse", {"model": "acme.m"}) == ambiguous(
        "model: a model at a path where this operation reads none"
    )


@pytest.mark.parametrize(
    ("path", "body", "types"),
    [
        ("/model/acme.m/converse", {"toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]}},
         ("function",)),
        ("/model/acme.m/converse", {"additionalModelRequestFields":
         {"tools": [{"type": "computer_20250124", "name": "c"}]}}, ("computer_20250124",)),
        ("/model/acme.m/invoke", {"tools": [{"name": "f", "input_schema": {}}, {"type": "bash"}]},
         ("bash", "function")),
        ("/model/acme.m/invoke", {"toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]}},
         ("function",)),
    ],
)  # fmt: skip
def test_a_tool_of_bedrock_is_seen_whether_or_not_it_says_its_type(
    path: str, body: Any, types: tuple[str, ...]
) -> None:
    call = post("bedrock", path, body)
    assert isinstance(call, Call)
    assert call.tool_types == types


@pytest.mark.parametrize("operation", ["invoke", "invoke-with-response-stream"])
def test_a_native_body_without_a_type_is_json_as_bedrock_takes_it(operation: str) -> None:
    """The SDK sends none unless it is told to."""
    path = f"/model/acme.m/{operation}"

    def sent(body: bytes, headers: Lines | None = None) -> Outcome:
        return ask(
            as_check_request(
                path=path, body=body, provider="bedrock", drop=("content-type",), headers=headers
            )
        )

    streams = operation.endswith("stream")
    assert sent(b'{"prompt": "x"}') == Call("bedrock", "invoke", ("acme.m",), stream=streams)
    assert sent(b"prompt=x") == (
        Reason.MALFORMED_REQUEST,
        "body: not JSON: Expecting value at character 0",
    )
    for kind in ("", "text/plain"):
        assert sent(b'{"prompt": "x"}', [("content-type", kind)]) == (
            Reason.MALFORMED_REQUEST,
            "Content-Type must be application/json, in UTF-8",
        )


def test_what_goes_to_the_model_beside_converse_names_no_other() -> None:
    body = {"additionalModelRequestFields": {"thinking": {"type": "enabled"}}}
    assert post("bedrock", "/model/acme.m/converse", body) == Call(
        "bedrock", "converse", ("acme.m",)
    )
    assert post(
        "bedrock", "/model/acme.m/converse", {"additionalModelRequestFields": {"model": "n"}}
    ) == ambiguous(
        "additionalModelRequestFields.model: a model at a path where this operation reads none"
    )


@pytest.mark.parametrize(
    ("path", "within"),
    [
        ("/model/acme.m/converse", lambda more: {"additionalModelRequestFields": more}),
        ("/model/acme.m/invoke", lambda more: more),
        ("/async-invoke", lambda more: {"modelId": "acme.m", "modelInput": more}),
    ],
)
def test_a_body_of_the_models_own_format_is_read_alike_wherever_it_is(
    path: str, within: Any
) -> None:
    """Anthropic's ``fallbacks: default`` lets the provider choose another model."""
    assert post("bedrock", path, within({"fallbacks": "default"})) == ambiguous(
        "the key fallbacks could make a server run another model"
    )


@pytest.mark.parametrize(
    ("place", "left"),
    [("container", "c"), ("thread", {"type": "continue", "previous_message_id": "msg_1"})],
)
@pytest.mark.parametrize(
    ("api", "path", "within"),
    [
        ("bedrock", "/anthropic/v1/messages", lambda more: {"model": "acme.m", **more}),
        ("bedrock", "/model/acme.m/converse", lambda more: {"additionalModelRequestFields": more}),
        ("bedrock", "/model/acme.m/invoke", lambda more: more),
        ("vllm", "/v1/messages", lambda more: {"model": "m", **more}),
    ],
)
def test_what_an_earlier_message_left_at_the_provider_is_not_built_on(
    api: str, path: str, within: Any, place: str, left: Any
) -> None:
    refused = post(api, path, within({place: left}))
    assert not isinstance(refused, Call)
    assert refused[0] is Reason.UNSUPPORTED_OPERATION
    assert refused[1].endswith("what is stored upstream may name another model")


LISTED = [{"name": "f", "input_schema": {"properties": {"model": {}}}}]


def test_anthropics_messages_at_mantle_name_the_model_in_the_body() -> None:
    body = {
        "model": "anthropic.claude-haiku-4-5",
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "mcp_tool_listing", "tools": LISTED}]},
        ],
        "tools": [
            {
                "name": "f",
                "input_schema": {"properties": {"model": {}}},
                "input_examples": [{"model": "T", "models": ["S"]}],
            },
            {"type": "mcp_toolset", "mcp_server_name": "s", "tools": LISTED},
        ],
        "stream": True,
    }
    types = ("function", "mcp_toolset")
    call = Call("bedrock", "messages", (str(body["model"]),), stream=True, tool_types=types)
    path = "/anthropic/v1/messages"
    assert post("bedrock", path, body) == call
    assert post("bedrock", f"{path}?beta=true", body) == call, "as the SDK calls what is in beta"
    assert post("bedrock", f"{path}/count_tokens", body) == replace(
        call, operation="messages.count_tokens"
    )
    advisor = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-4-1"}
    assert post("bedrock", path, {**body, "tools": [advisor]}) == ambiguous(
        "tools[].model: a model at a path where this operation reads none"
    )
    for key, reason in (
        ("fallbacks", Reason.AMBIGUOUS_MODEL),
        ("container", Reason.UNSUPPORTED_OPERATION),
    ):
        refused = post("bedrock", path, {**body, key: "c"})
        assert not isinstance(refused, Call)
        assert refused[0] is reason


@pytest.mark.parametrize(
    ("path", "within"),
    [
        ("converse", lambda more: {"additionalModelRequestFields": more}),
        ("invoke", lambda more: more),
    ],
)
def test_a_schema_of_an_answer_may_have_a_property_of_that_name(path: str, within: Any) -> None:
    schema = {"type": "object", "properties": {"model": {"type": "string"}}}
    body = within({"output_config": {"format": {"type": "json_schema", "schema": schema}}})
    call = post("bedrock", f"/model/acme.m/{path}", body)
    assert call == Call("bedrock", path, ("acme.m",))
    data = [{"model": "T", "text": "x"}]
    body = within({"documents": data, "tool_results": [{"outputs": data}]})  # Cohere's
    assert post("bedrock", f"/model/acme.m/{path}", body) == call


def test_a_stream_of_bedrock_is_one_by_its_path() -> None:
    call = post("bedrock", "/model/acme.m/converse-stream", {})
    assert call == Call("bedrock", "converse", ("acme.m",), stream=True)


def test_an_asynchronous_invocation_names_its_model_in_the_body() -> None:
    body = {"modelId": f"{ARN}:provisioned-model/x", "modelInput": {"text": "y"}}
    name = str(body["modelId"])
    assert post("bedrock", "/async-invoke", body) == Call(
        "bedrock", "invoke.async", (name,), deployments=(name,)
    )


@pytest.mark.parametrize(("provider", "api"), [("bedrock", "openai"), ("azure", "openai")])
def test_a_hosted_providers_names_are_read_by_its_own_table_alone(provider: str, api: str) -> None:
    """By OpenAI's, a router of Bedrock and a deployment of Azure would be models."""
    body = json.dumps({"model": f"{ARN}:prompt-router/r", "messages": []}).encode()

    def asked(name: str) -> Outcome:
        return ask(as_check_request(path=CHAT, body=body, provider=name, api=api))

    assert asked(provider) == (
        Reason.UNSUPPORTED_OPERATION,
        f"this route's provider is '{provider}' and its api is '{api}', which reads names of models"
        " otherwise; have the operator set both alike, or name the provider differently",
    )
    assert isinstance(asked("acme"), Call)
