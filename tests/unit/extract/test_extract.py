"""Step 0: every model and every stored object that a request names is found, wherever it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.core.call import Call, Reference
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.references import built_on, owned
from sidecar.providers.json_paths import FoundValue, Owned, Stored
from tests.support.gate.asking import Outcome
from tests.support.gate.requests import CHAT, as_check_request, get_request
from tests.support.gate.small_requests import chat, malformed, outcome
from tests.support.simulator.constants import MODEL

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
    assert outcome(as_check_request(path=path, body=json.dumps(body).encode())) == call


@pytest.mark.parametrize("path", [f"/v1/models/{MODEL}", f"/v1/models/{MODEL.replace(':', '%3A')}"])
def test_a_model_in_the_path_is_decoded_exactly_once(path: str) -> None:
    assert outcome(get_request(path)) == Call("openai", "models.retrieve", (MODEL,))


@pytest.mark.parametrize(
    "value",
    ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'],
)
def test_json_is_taken_by_its_usual_names(value: str) -> None:
    message = as_check_request(
        body=b'{"model":"m"}', drop=("content-type",), headers=[("content-type", value)]
    )
    assert outcome(message) == Call("openai", "chat.completions", ("m",))


def test_a_chunked_body_needs_no_length() -> None:
    message = as_check_request(
        body=b'{"model":"m"}', drop=("content-length",), headers=[("transfer-encoding", "chunked")]
    )
    assert outcome(message) == Call("openai", "chat.completions", ("m",))


def test_a_text_body_is_taken_where_it_is_known_to_be_the_bytes() -> None:
    message = as_check_request(body=b"", text_body='{"model":"m"}')
    assert outcome(message) == Call("openai", "chat.completions", ("m",))


# ---- paths ---------------------------------------------------------------------------------------

ID = (
    "path segment 3: a model id has only letters, digits and . _ : @ -, unescaped or"
    " percent-encoded once"
)


def special(number: int, character: str) -> str:
    return f"path segment {number}: character {character} is not allowed here"


def normalized(number: int, segment: str) -> str:
    return f"path segment {number} is '{segment}'; send the path normalized"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/v1/chat/..%2fcompletions", special(3, "'%'")),
        ("/v1/chat%2fcompletions", special(2, "'%'")),
        ("/v1//chat/completions", normalized(2, "")),
        ("//v1/chat/completions", normalized(1, "")),
        ("/v1/chat/completions/", normalized(4, "")),
        ("/v1/chat/completions;x", special(3, "';'")),
        ("/v1/%63hat/completions", special(2, "'%'")),
        ("/v1/../v1/chat/completions", normalized(2, "..")),
        ("/v1/./chat/completions", normalized(2, ".")),
        ("/v1\\chat\\completions", special(1, r"'\\'")),
        ("/v1/chat/completions#x", special(3, "'#'")),
        ("/v1/chat/completions\u00e9", special(3, r"'\xe9'")),
        ("/v1/chat/completions\u00ad", special(3, r"'\xad'")),
        ("/v1/chat/completions ", special(3, "' '")),
        (
            "v1/chat/completions",
            "the method must be capital letters, and the target a path that begins with /",
        ),
        (
            "http://x/v1/chat/completions",
            "the method must be capital letters, and the target a path that begins with /",
        ),
        ("", "the method must be capital letters, and the target a path that begins with /"),
        ("/v1/" + "x" * 513, "path segment 2 has more than 512 characters"),
    ],
)
def test_a_path_outside_the_grammar_is_refused(path: str, why: str) -> None:
    assert outcome(as_check_request(path=path, drop=(":path",))) == malformed(why)


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
    ("method", "path", "hint"),
    [
        ("HEAD", f"/v1/models/{MODEL}", "; there it takes DELETE and GET"),
        ("OPTIONS", CHAT, "; there it takes GET and POST"),
        ("PUT", "/v1/files", "; there it takes GET and POST"),
        ("POST", "/v1/chat/completions/x/y/z", ""),
        ("POST", "/V1/chat/completions", ""),
        ("GET", "/", ""),
        ("GET", "/v1/organization/admin_api_keys", ""),
        (
            "POST",
            "/chat/completions",
            "; /v1/chat/completions is: put /v1 before it, as the end of an SDK's base URL",
        ),
        ("GET", "/v1/chat/completion", ""),
        (
            "POST",
            "/openai/deployments/support/chat/completions",
            ", which is set to api openai; it is one of Azure OpenAI (api azure)",
        ),
        ("POST", "/v1/load_lora_adapter", ""),
    ],
)
def test_what_is_not_in_the_table_is_refused_by_name_with_what_is_near(
    method: str, path: str, hint: str
) -> None:
    message = as_check_request(method=method, path=path)
    expected = (
        Reason.UNSUPPORTED_OPERATION,
        f"{method} {path} is not in the gate's table of operations for this route{hint}",
    )
    assert outcome(message) == expected


def test_an_upload_is_refused_by_name_though_its_body_was_not_handed_over() -> None:
    message = as_check_request(path="/v1/files", body=b"", headers=[("content-length", "1000000")])
    expected = (
        Reason.UNSUPPORTED_OPERATION,
        "files.create is closed unless open_operations in sidecar.yaml lists it: it names no model,"
        " so only the environment could be asked about",
    )
    assert outcome(message) == expected


@pytest.mark.parametrize("method", ["post", "Post", "", "PO ST", "CONNECT " * 9])
def test_a_method_is_upper_case_or_refused(method: str) -> None:
    assert outcome(as_check_request(method=method, drop=(":method",))) == malformed(
        "the method must be capital letters, and the target a path that begins with /"
    )


ENCODE = (
    "a in the query must be percent-encoded UTF-8 without control characters, of at most 4096"
    " characters"
)
BESIDE = "the query names a model where this operation reads none"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("model=x", (Reason.AMBIGUOUS_MODEL, BESIDE)),
        (f"model={MODEL}", (Reason.AMBIGUOUS_MODEL, BESIDE)),
        ("a=1&Model=x", (Reason.AMBIGUOUS_MODEL, BESIDE)),
        ("a=1;m%6Fdel=x", (Reason.AMBIGUOUS_MODEL, BESIDE)),
        ("model[]=x", (Reason.AMBIGUOUS_MODEL, BESIDE)),
        ("deployment=x", (Reason.AMBIGUOUS_MODEL, BESIDE)),
        ("filter[model]=x", (Reason.AMBIGUOUS_MODEL, BESIDE)),
        ("agent_id=a", (Reason.AMBIGUOUS_MODEL, BESIDE)),
    ],
)
def test_a_query_that_could_name_a_model_is_refused(query: str, expected: Outcome) -> None:
    assert chat(b'{"model":"m"}', path=f"{CHAT}?{query}") == expected
    assert outcome(get_request(f"/v1/models/m?{query}")) == expected


@pytest.mark.parametrize("query", ["api-version=1", "", "metadata[a]=1"])
def test_where_a_model_runs_the_query_has_the_keys_of_the_row_alone(query: str) -> None:
    refused = malformed("this operation takes no query")
    assert chat(b'{"model":"m"}', path=f"{CHAT}?{query}") == refused


@pytest.mark.parametrize(
    "query",
    [
        "",
        "api-version=1",
        "include[]=file_search_call.results&include[]=reasoning.encrypted_content",
        "include%5B%5D=file_search_call.results",
        "include=a,b&include=c",
        "order=desc&after=resp_1&before=resp_2&limit=100",
        "metadata[team]=a%20b&metadata%5Bmodel%5D=x",
        "filter[status]=done&created_after=2026-11-01T00:00:00%2B01:00",
        "q=caf%C3%A9+%26+more",
    ],
)
def test_a_query_that_names_no_model_is_no_reason_to_refuse_what_only_reads(query: str) -> None:
    expected = Call("openai", "models.retrieve", ("m",))
    assert outcome(get_request(f"/v1/models/m?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("=x", "a key of the query is not letters, digits, . _ - and parts in brackets"),
        ("a%62=x", "a key of the query is not letters, digits, . _ - and parts in brackets"),
        ("a[[b]]=x", "a key of the query is not letters, digits, . _ - and parts in brackets"),
        ("a=1;b=2", ENCODE),
        ("a=%00", ENCODE),
        ("a=%ff", ENCODE),
        ("a=%4", ENCODE),
        ("a=" + "x" * 4097, ENCODE),
        ("&".join("abc"), None),
        ("&".join(["a=1"] * 129), "the query has more than 128 keys"),
    ],
)
def test_a_query_outside_the_grammar_is_refused_where_it_only_reads_too(
    query: str, why: str | None
) -> None:
    expected = Call("openai", "models.retrieve", ("m",)) if why is None else malformed(why)
    assert outcome(get_request(f"/v1/models/m?{query}")) == expected


# ---- what is stored upstream ---------------------------------------------------------------------


def test_a_stored_object_is_named_in_the_call() -> None:
    body = {"model": "m", "previous_response_id": "resp_1", "conversation": {"id": "conv_2"}}
    assert outcome(as_check_request(path="/v1/responses", body=json.dumps(body).encode())) == Call(
        "openai",
        "responses",
        ("m",),
        references=(Reference("response", "resp_1"), Reference("conversation", "conv_2")),
    )


def test_a_response_that_goes_on_from_another_need_not_name_its_model() -> None:
    body = json.dumps({"previous_response_id": "resp_1"}).encode()
    assert outcome(as_check_request(path="/v1/responses", body=body)) == Call(
        "openai", "responses", (), references=(Reference("response", "resp_1"),)
    )


@pytest.mark.parametrize("value", [{"id": "x", "model": "n"}, {}, 7, "", "a/b", {"id": None}])
def test_a_stored_object_is_an_id_or_an_object_with_one(value: Any) -> None:
    body = json.dumps({"model": "m", "conversation": value}).encode()
    refused = outcome(as_check_request(path="/v1/responses", body=body))
    assert not isinstance(refused, Call)
    assert refused[0] in {Reason.MALFORMED_REQUEST, Reason.AMBIGUOUS_MODEL}


def test_a_prompt_that_nobody_here_wrote_is_refused() -> None:
    body = json.dumps({"model": "m", "prompt": {"id": "x"}}).encode()
    assert outcome(as_check_request(path="/v1/responses", body=body)) == (
        Reason.UNSUPPORTED_OPERATION,
        "responses with prompt: what is stored upstream may name another model",
    )


SECOND_TURN = {
    "model": "m",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "item_reference", "id": "msg_1"},
        {"id": "rs_1"},
        {"type": "item_reference", "id": "msg_1"},
        {"role": "user", "content": [{"type": "input_text", "text": "and?"}]},
    ],
}
"""As SDKs send the second turn of a conversation with their defaults."""


def test_an_input_item_by_reference_is_a_stored_object() -> None:
    items = (Reference("item", "msg_1"), Reference("item", "rs_1"))
    sent = json.dumps(SECOND_TURN).encode()
    assert outcome(as_check_request(path="/v1/responses", body=sent)) == Call(
        "openai", "responses", ("m",), references=items
    )
    unnamed = json.dumps({"input": SECOND_TURN["input"]}).encode()
    assert outcome(as_check_request(path="/v1/responses", body=unnamed)) == malformed(
        "the request names no model: name it"
    )


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ([{}], "input[] by reference must have the item's id"),
        ([{"type": "item_reference", "role": "user"}],
         "input[] by reference must have the item's id"),
        ([{"id": 7}], "input[].id must be an id of 1 to 256 letters, digits, _ or -"),
    ],
)  # fmt: skip
def test_a_reference_to_an_item_has_its_id(items: list[Any], why: str) -> None:
    body = json.dumps({"model": "m", "input": items}).encode()
    assert outcome(as_check_request(path="/v1/responses", body=body)) == malformed(why)


@pytest.mark.parametrize(
    ("item", "why"),
    [
        ("x", "input[] must be an object"),
        (None, "input[] must be an object"),
        ({"role": "user", "Type": "item_reference"}, "input[]: the key 'Type' is a twin of 'type'"),
    ],
)
def test_an_input_item_of_another_shape_is_refused(item: Any, why: str) -> None:
    body = json.dumps({"model": "m", "input": [item]}).encode()
    assert outcome(as_check_request(path="/v1/responses", body=body)) == malformed(why)


def test_more_stored_objects_than_are_looked_up_are_refused() -> None:
    limits = ((Stored("item"), 256, built_on), (Stored("response"), 16, built_on))
    for role, most, read in (*limits, (Owned("file"), 512, owned)):
        found = [FoundValue(role, f"x_{number}", "x") for number in range(most + 1)]
        assert len(read(found[1:])) == most
        with pytest.raises(AdmissibilityError, match="more than"):
            read(found)


def test_more_models_than_anybody_needs_are_refused() -> None:
    tools = [{"type": "x", "model": f"m{number}"} for number in range(40)]
    body = json.dumps({"model": "m", "tools": tools}).encode()
    assert chat(body) == malformed("more than 32 models are named")
