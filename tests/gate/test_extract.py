"""Step 0: every place that can name a model is read; nothing that could mislead gets through."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from sidecar.core import strict_json
from sidecar.core.call import Call, Reference
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.gate import envoy
from sidecar.gate.doors import APIS
from sidecar.gate.doors.overrides import (
    OVERRIDES,
    OVERRIDING_HEADERS,
    OVERRIDING_PREFIXES,
    key_overrides,
)
from sidecar.gate.extract import extract
from tests.gate.requests import CHAT, HEADER, Lines, check_request, get_request, json_body
from tests.simulator.world import MODEL

MAX_BYTES = 4096
ROWS = [row for api in APIS.values() for row in api.operations]
WITH_MODEL = [row for row in APIS["openai"].operations if "model" in row.reads]
Outcome = Call | tuple[Reason, str]


def outcome(message: Any) -> Outcome:
    """The call, or the refusal with its whole message."""
    try:
        request = envoy.read(message, credential_header=HEADER)
        return extract(request, max_bytes=MAX_BYTES)
    except AdmissibilityError as error:
        return error.reason, error.message


def chat(body: bytes, **changes: Any) -> Outcome:
    return outcome(check_request(body=body, **changes))


def malformed(why: str) -> Outcome:
    return Reason.MALFORMED_REQUEST, why


# ---- what is let through -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "call"),
    [
        (CHAT, {"model": "m"}, Call("openai", "chat.completions", ("m",))),
        (
            CHAT,
            {
                "stream": True,
                "moderation": {"model": "guard"},
                "modalities": ["text", "audio", "text"],
                "tools": [{"type": "function", "function": {"name": "f"}}, {"type": "custom"}],
                "model": "m",
            },
            Call(
                "openai",
                "chat.completions",
                ("guard", "m"),
                stream=True,
                modalities=("audio", "text"),
                tool_types=("custom", "function"),
            ),
        ),
        (
            CHAT,
            {"model": "m", "functions": [{"name": "f"}], "stream": None, "tools": None},
            Call("openai", "chat.completions", ("m",), tool_types=("function",)),
        ),
        ("/v1/completions", {"model": "m", "prompt": "x"}, Call("openai", "completions", ("m",))),
        ("/v1/embeddings", {"model": "m", "input": ["x"]}, Call("openai", "embeddings", ("m",))),
        ("/v1/responses", {"model": "m", "input": "hello"}, Call("openai", "responses", ("m",))),
        (
            "/v1/responses",
            {
                "model": "m",
                "previous_response_id": None,
                "tools": [
                    {"type": "image_generation", "model": "picture"},
                    {"type": "x", "svg": {"model": "drawing"}},
                ],
                "input": [
                    {"role": "user", "content": "hello"},
                    {
                        "type": "additional_tools",
                        "tools": [{"type": "image_generation", "model": "other", "svg": None}],
                    },
                ],
            },
            Call(
                "openai",
                "responses",
                ("m", "picture", "drawing", "other"),
                tool_types=("image_generation", "x"),
            ),
        ),
    ],
)
def test_every_model_a_body_names_is_found(path: str, body: dict[str, Any], call: Call) -> None:
    assert outcome(check_request(path=path, body=json.dumps(body).encode())) == call


@pytest.mark.parametrize("path", [f"/v1/models/{MODEL}", f"/v1/models/{MODEL.replace(':', '%3A')}"])
def test_a_model_in_the_path_is_decoded_exactly_once(path: str) -> None:
    assert outcome(get_request(path)) == Call("openai", "models.retrieve", (MODEL,))


@pytest.mark.parametrize(
    "value",
    ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'],
)
def test_json_is_taken_by_its_usual_names(value: str) -> None:
    message = check_request(
        body=b'{"model":"m"}', drop=("content-type",), headers=[("content-type", value)]
    )
    assert outcome(message) == Call("openai", "chat.completions", ("m",))


def test_a_chunked_body_needs_no_length() -> None:
    message = check_request(
        body=b'{"model":"m"}', drop=("content-length",), headers=[("transfer-encoding", "chunked")]
    )
    assert outcome(message) == Call("openai", "chat.completions", ("m",))


def test_a_text_body_is_taken_where_it_is_known_to_be_the_bytes() -> None:
    message = check_request(body=b"", text_body='{"model":"m"}')
    assert outcome(message) == Call("openai", "chat.completions", ("m",))


# ---- paths ---------------------------------------------------------------------------------------

PATH = "the path is not plainly written"
ID = "the model id in the path is not plainly written"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/v1/chat/..%2fcompletions", PATH),
        ("/v1/chat%2fcompletions", PATH),
        ("/v1//chat/completions", PATH),
        ("//v1/chat/completions", PATH),
        ("/v1/chat/completions/", PATH),
        ("/v1/chat/completions;x", PATH),
        ("/v1/%63hat/completions", PATH),
        ("/v1/../v1/chat/completions", PATH),
        ("/v1/./chat/completions", PATH),
        ("/v1\\chat\\completions", PATH),
        ("/v1/chat/completions#x", PATH),
        ("/v1/chat/completions\u00e9", PATH),
        ("/v1/chat/completions\u00ad", PATH),
        ("/v1/chat/completions ", PATH),
        ("v1/chat/completions", "not a method and an absolute path"),
        ("http://x/v1/chat/completions", "not a method and an absolute path"),
        ("", "not a method and an absolute path"),
    ],
)
def test_a_path_outside_the_grammar_is_refused(path: str, why: str) -> None:
    assert outcome(check_request(path=path, drop=(":path",))) == malformed(why)


@pytest.mark.parametrize(
    "segment",
    [
        *("..", ".", "%2e%2e", "a%2Fb", "..%2fchat", "a;b", "a%3Bb", "%", "%zz", "a%00", "a%25"),
        *("a%20b", "a b", "caf\u00e9", "caf%C3%A9", "a%FF", "a\\b", "a%5Cb", "a+b", "x" * 600),
    ],
)
def test_a_model_id_in_the_path_is_refused_unless_plain(segment: str) -> None:
    assert outcome(get_request(f"/v1/models/{segment}", drop=(":path",))) == malformed(ID)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", f"/v1/models/{MODEL}"),
        ("OPTIONS", CHAT),
        ("PUT", "/v1/files"),
        ("POST", "/v1/load_lora_adapter"),
        ("POST", "/v1/chat/completions/x/y/z"),
        ("POST", "/V1/chat/completions"),
        ("GET", "/"),
        ("GET", "/v1/organization/admin_api_keys"),
    ],
)
def test_what_is_not_in_the_table_is_refused_by_name(method: str, path: str) -> None:
    message = check_request(method=method, path=path)
    expected = (Reason.UNSUPPORTED_OPERATION, f"{method} {path} is not an operation of the gate")
    assert outcome(message) == expected


def test_an_upload_is_refused_by_name_though_its_body_was_not_handed_over() -> None:
    message = check_request(path="/v1/files", body=b"", headers=[("content-length", "1000000")])
    expected = (
        Reason.UNSUPPORTED_OPERATION,
        "files.create is shut unless the operator opens it: it names no model, so only the"
        " environment could be asked about",
    )
    assert outcome(message) == expected


@pytest.mark.parametrize("method", ["post", "Post", "", "PO ST", "CONNECT " * 9])
def test_a_method_is_upper_case_or_refused(method: str) -> None:
    assert outcome(check_request(method=method, drop=(":method",))) == malformed(
        "not a method and an absolute path"
    )


BESIDE = "the query names a model beside the place that counts"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("model=x", (Reason.AMBIGUOUS_MODEL, BESIDE)),
        (f"model={MODEL}", (Reason.AMBIGUOUS_MODEL, BESIDE)),
        ("a=1&Model=x", (Reason.AMBIGUOUS_MODEL, BESIDE)),
        ("a=1;m%6Fdel=x", (Reason.AMBIGUOUS_MODEL, BESIDE)),
        ("model[]=x", (Reason.AMBIGUOUS_MODEL, BESIDE)),
        ("deployment=x", (Reason.AMBIGUOUS_MODEL, BESIDE)),
        ("api-version=1", malformed("this operation has no query")),
        ("", malformed("this operation has no query")),
    ],
)
def test_a_query_is_refused(query: str, expected: Outcome) -> None:
    assert chat(b'{"model":"m"}', path=f"{CHAT}?{query}") == expected
    assert outcome(get_request(f"/v1/models/m?{query}")) == expected


# ---- the body's bytes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "drop", "expected"),
    [
        (
            [("x-envoy-auth-partial-body", "true")],
            (),
            (Reason.BODY_INCOMPLETE, "only a part of the body was handed over"),
        ),
        (
            [("content-length", "99")],
            ("content-length",),
            (
                Reason.BODY_INCOMPLETE,
                "13 bytes of the body were handed over, Content-Length says 99",
            ),
        ),
        (
            [("content-length", "5")],
            ("content-length",),
            (
                Reason.BODY_INCOMPLETE,
                "13 bytes of the body were handed over, Content-Length says 5",
            ),
        ),
        (
            [("content-length", "+13")],
            ("content-length",),
            malformed("Content-Length is not a number"),
        ),
        (
            [("content-encoding", "gzip")],
            (),
            (Reason.UNSUPPORTED_ENCODING, "Content-Encoding is not identity"),
        ),
        (
            [("content-encoding", "identity, gzip")],
            (),
            (Reason.UNSUPPORTED_ENCODING, "Content-Encoding is not identity"),
        ),
        (
            [("transfer-encoding", "gzip, chunked")],
            ("content-length",),
            malformed("Transfer-Encoding is not chunked alone, without a length"),
        ),
        (
            [("transfer-encoding", "chunked")],
            (),
            malformed("Transfer-Encoding is not chunked alone, without a length"),
        ),
        (
            [("upgrade", "websocket"), ("connection", "Upgrade")],
            (),
            malformed("this operation cannot be upgraded to another protocol"),
        ),
        (
            [("connection", "keep-alive, UPGRADE")],
            (),
            malformed("this operation cannot be upgraded to another protocol"),
        ),
        (
            [("content-type", "text/plain")],
            ("content-type",),
            malformed("Content-Type is not application/json in UTF-8"),
        ),
        (
            [("content-type", "application/json; charset=utf-16")],
            ("content-type",),
            malformed("Content-Type is not application/json in UTF-8"),
        ),
        ([], ("content-type",), malformed("Content-Type is not application/json in UTF-8")),
    ],
)
def test_a_body_that_may_not_be_what_upstream_gets_is_refused(
    headers: Lines, drop: tuple[str, ...], expected: Outcome
) -> None:
    assert chat(b'{"model":"m"}', headers=headers, drop=drop) == expected


def test_a_websocket_upgrade_without_a_body_is_refused() -> None:
    message = check_request(body=b"", headers=[("upgrade", "websocket")])
    assert outcome(message) == malformed("this operation cannot be upgraded to another protocol")


@pytest.mark.parametrize("text", ['{"model":"m!"}', '{"model":"m","x!!":1}'])
def test_a_repaired_text_body_is_refused(text: str) -> None:
    assert outcome(check_request(body=b"", text_body=text)) == malformed(
        "the body came as text, perhaps repaired: have the operator set pack_as_bytes"
    )


def test_a_text_body_of_another_length_is_refused() -> None:
    message = check_request(
        body=b"",
        text_body='{"model":"m"}',
        drop=("content-length",),
        headers=[("content-length", "9")],
    )
    assert outcome(message) == malformed(
        "the body came as text, perhaps repaired: have the operator set pack_as_bytes"
    )


def test_a_body_beyond_the_cap_is_refused() -> None:
    body = json_body(padding="x" * MAX_BYTES)
    why = f"the body has {len(body)} bytes, at most {MAX_BYTES} are read"
    assert chat(body) == (Reason.BODY_INCOMPLETE, why)


def test_an_empty_body_is_refused() -> None:
    message = check_request(body=b"", headers=[("content-type", "application/json")])
    assert outcome(message) == malformed("body: not JSON: Expecting value at character 0")


def test_a_get_has_no_body() -> None:
    message = get_request("/v1/models/m", body=b'{"model":"other"}')
    assert outcome(message) == malformed("this operation has no body")


# ---- JSON ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b'{"model":"m","model":"n"}', "body: a key is given twice"),
        (b'{"model":"m","x":{"a":1,"a":2}}', "body: a key is given twice"),
        (b'{"model":"m","x":NaN}', "body: NaN is not JSON"),
        (b'{"model":"m","x":-Infinity}', "body: -Infinity is not JSON"),
        (b'\xef\xbb\xbf{"model":"m"}', "body: begins with a byte-order mark"),
        ('{"model":"m"}'.encode("utf-16"), "body: not UTF-8"),
        (b'{"model":"m","x":"\xff"}', "body: not UTF-8"),
        (b'{"model":"\\ud800"}', "body: a lone surrogate"),
        (b'{"model":"m","x":' + b"[" * 80 + b"]" * 80 + b"}", "body: nested deeper than 64"),
        (b'{"model":"m","x":' + b"[" * 2000, "body: nested deeper than 64"),
        (
            b'{"model":"m","x":' + b"9" * 400 + b"}",
            "body: a number with more than 308 digits",
        ),
        (b'["model"]', "body: not a JSON object"),
        (b'{"model":"m"}{}', "body: not JSON: Extra data at character 13"),
        (b'{"messages":[]}', "the request names no model"),
        (b'{"model":null}', "the request names no model"),
        (b'{"model":""}', "model is not a model id"),
        (b'{"model":7}', "model is not a model id"),
        (b'{"model":["m"]}', "model is not a model id"),
        (b'{"model":"a b"}', "model is not a model id"),
        (b'{"model":"m\\n"}', "model is not a model id"),
        (b'{"model":"m\\u0000"}', "model is not a model id"),
        ('{"model":"\uff4d"}'.encode(), "model is not a model id"),
        (b'{"model":"' + b"m" * 513 + b'"}', "model is not a model id"),
        (b'{"model":"m","stream":"true"}', "stream is neither true nor false"),
        (b'{"model":"m","stream":1}', "stream is neither true nor false"),
        (b'{"model":"m","modalities":"text"}', "modalities is not a list"),
        (b'{"model":"m","modalities":[1]}', "modalities[] is not a plain word"),
        (b'{"model":"m","tools":{}}', "tools is not a list"),
        (b'{"model":"m","tools":"x"}', "tools is not a list"),
        (b'{"model":"m","tools":["x"]}', "tools[] is not an object"),
        (b'{"model":"m","tools":[null]}', "tools[] is not a tool with a type"),
        (b'{"model":"m","tools":[{}]}', "tools[] is not a tool with a type"),
        (b'{"model":"m","tools":[{"type":null}]}', "tools[].type is not a plain word"),
        (b'{"model":"m","tools":[{"type":"x","model":{}}]}', "tools[].model is not a model id"),
        (b'{"model":"m","moderation":"x"}', "moderation is not an object"),
        (b'{"model":"m","moderation":{"model":""}}', "moderation.model is not a model id"),
    ],
)  # fmt: skip
def test_json_that_two_parsers_could_read_differently_is_refused(body: bytes, why: str) -> None:
    assert chat(body) == malformed(why)


@pytest.mark.parametrize(
    ("body", "where", "key"),
    [
        ('{"model":"m","Model":"n"}', "body", "Model"),
        ('{"MODEL":"n"}', "body", "MODEL"),
        ('{"model":"m","\uff4dodel":"n"}', "body", "\uff4dodel"),
        ('{"model":"m","moderation":{"moDel":"n"}}', "moderation", "moDel"),
        ('{"model":"m","tools":[{"type":"x","Model":"n"}]}', "tools[]", "Model"),
    ],
)
def test_a_twin_of_a_model_key_is_ambiguous(body: str, where: str, key: str) -> None:
    why = f"{where}: the key {key!r} is a twin of 'model'"
    assert chat(body.encode()) == (Reason.AMBIGUOUS_MODEL, why)


def test_a_twin_of_a_key_on_the_way_is_ambiguous() -> None:
    body = b'{"model":"m","Tools":[{"type":"x","model":"n"}]}'
    why = "body: the key 'Tools' is a twin of 'tools'"
    assert chat(body) == (Reason.AMBIGUOUS_MODEL, why)


def path_of(row: Any) -> str:
    """A path of the row, with an id wherever its route has one."""
    return re.sub(r"\{\w+\}", "stored_1", row.route)


@pytest.mark.parametrize("key", sorted(OVERRIDES))
@pytest.mark.parametrize("row", WITH_MODEL, ids=lambda r: r.name)
def test_a_key_that_could_run_another_model_is_ambiguous(row: Any, key: str) -> None:
    expected = (Reason.AMBIGUOUS_MODEL, f"the key {key} could change which model is run")
    for spelling in (key, key.upper()):
        body = json.dumps({"model": "m", spelling: "other"}).encode()
        assert outcome(check_request(path=path_of(row), body=body)) == expected


@pytest.mark.parametrize(
    "key",
    [
        *("models", "model_list", "model_id", "modelId", "ModelName", "MODEL_UID", "safety_model"),
        *("draftModel", "speculative_model", "target_model_names", "x-model"),
        *("adapter_id", "merged_adapters", "lora_path", "loras", "deployment_name", "Deployments"),
        *("\uff4dodel_id", "specific_deployment"),
    ],
)
@pytest.mark.parametrize("row", WITH_MODEL, ids=lambda r: r.name)
def test_a_key_with_a_word_for_what_is_run_is_ambiguous(row: Any, key: str) -> None:
    body = json_body(model="m", **{key: "other"})
    refused = outcome(check_request(path=path_of(row), body=body))
    assert refused == (
        Reason.AMBIGUOUS_MODEL,
        f"the key {strict_json.fold(key)} could change which model is run",
    )


@pytest.mark.parametrize(
    "key", ["modelling", "remodel", "metadata", "modalities", "explore", "top_p", "tool_choice"]
)
def test_a_key_that_only_sounds_like_such_a_word_is_let_through(key: str) -> None:
    assert not key_overrides(key)


@pytest.mark.parametrize(
    "name",
    [
        *sorted(OVERRIDING_HEADERS),
        *(f"{prefix}x" for prefix in OVERRIDING_PREFIXES),
        *("x-model", "x-model-id", "azureml-model-deployment", "x-ms-model-mesh-model-name"),
        *("x-ms-oai-image-generation-deployment", "serve_multiplexed_model_id", "x-lora-id"),
        *("x-amzn-sagemaker-target-model", "x-gateway-model-name", "x-wait-for-model"),
    ],
)
def test_a_header_that_could_change_the_call_is_ambiguous(name: str) -> None:
    expected = (Reason.AMBIGUOUS_MODEL, f"the header {name} could change what is called")
    assert chat(b'{"model":"m"}', headers=[(name, "x")]) == expected


@pytest.mark.parametrize(
    "name",
    [
        *("user-agent", "accept", "traceparent", "baggage", "idempotency-key", "openai-beta"),
        *("x-stainless-lang", "x-stainless-retry-count", "x-client-request-id", "x-request-id"),
        *("anthropic-version", "anthropic-beta", "x-amz-date", "x-amzn-bedrock-trace"),
        *(
            "x-amzn-bedrock-guardrailidentifier",
            "http-referer",
            "x-title",
            "x-ms-client-request-id",
        ),
    ],
)
def test_a_header_that_sdks_send_is_let_through(name: str) -> None:
    assert chat(b'{"model":"m"}', headers=[(name, "x")]) == Call(
        "openai", "chat.completions", ("m",)
    )


def test_no_key_is_both_read_and_refused() -> None:
    read = {name.split(".")[0].rstrip("[]") for row in ROWS for name in (*row.reads, *row.form)}
    assert read & OVERRIDES == {"agent", "agent_id"}, "what sessions of agents are made of"


# ---- what is stored upstream ---------------------------------------------------------------------


def test_a_stored_object_is_named_in_the_call() -> None:
    body = {"model": "m", "previous_response_id": "resp_1", "conversation": {"id": "conv_2"}}
    assert outcome(check_request(path="/v1/responses", body=json.dumps(body).encode())) == Call(
        "openai",
        "responses",
        ("m",),
        references=(Reference("response", "resp_1"), Reference("conversation", "conv_2")),
    )


def test_a_response_that_goes_on_from_another_need_not_name_its_model() -> None:
    body = json.dumps({"previous_response_id": "resp_1"}).encode()
    assert outcome(check_request(path="/v1/responses", body=body)) == Call(
        "openai", "responses", (), references=(Reference("response", "resp_1"),)
    )


@pytest.mark.parametrize("value", [{"id": "x", "model": "n"}, {}, 7, "", "a/b", {"id": None}])
def test_a_stored_object_is_an_id_or_an_object_with_one(value: Any) -> None:
    body = json.dumps({"model": "m", "conversation": value}).encode()
    refused = outcome(check_request(path="/v1/responses", body=body))
    assert not isinstance(refused, Call)
    assert refused[0] in {Reason.MALFORMED_REQUEST, Reason.AMBIGUOUS_MODEL}


def test_a_prompt_that_nobody_here_wrote_is_refused() -> None:
    body = json.dumps({"model": "m", "prompt": {"id": "x"}}).encode()
    assert outcome(check_request(path="/v1/responses", body=body)) == (
        Reason.UNSUPPORTED_OPERATION,
        "responses with prompt: what is stored upstream may name another model",
    )


@pytest.mark.parametrize("item", [{"type": "item_reference", "id": "x"}, {"id": "x"}, {}])
def test_an_input_item_by_reference_is_refused(item: dict[str, str]) -> None:
    body = json.dumps({"model": "m", "input": [item]}).encode()
    assert outcome(check_request(path="/v1/responses", body=body)) == (
        Reason.UNSUPPORTED_OPERATION,
        "an input item by reference: what is stored upstream may name another model",
    )


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ("x", "input[] is not an object"),
        (None, "input[] is not an object"),
        ({"role": "user", "Type": "item_reference"}, "input[]: the key 'Type' is a twin of 'type'"),
    ],
)
def test_an_input_item_of_another_shape_is_refused(item: Any, why: str) -> None:
    body = json.dumps({"model": "m", "input": [item]}).encode()
    assert outcome(check_request(path="/v1/responses", body=body)) == malformed(why)


def test_more_models_than_anybody_needs_are_refused() -> None:
    tools = [{"type": "x", "model": f"m{number}"} for number in range(40)]
    body = json.dumps({"model": "m", "tools": tools}).encode()
    assert chat(body) == malformed("more than 32 models or 16 objects are named")
