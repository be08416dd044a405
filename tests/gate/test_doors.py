"""The doors: each table's own ways of naming a model, and what it keeps shut."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.core.call import Call, Reference
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.gate import envoy
from sidecar.gate.doors import APIS, shut_operations
from sidecar.gate.doors.operation import Kind
from sidecar.gate.extract import extract
from sidecar.gate.places import Role
from tests.gate.requests import HEADER, Lines, check_request

Outcome = Call | tuple[Reason, str]
ARN = "arn:aws:bedrock:eu-west-1:123456789012"
DIGEST = "5f" * 32


def ask(message: Any, opened: frozenset[str] = frozenset()) -> Outcome:
    try:
        request = envoy.read(message, credential_header=HEADER)
        return extract(request, max_bytes=1 << 16, opened=opened)
    except AdmissibilityError as error:
        return error.reason, error.message


def post(api: str, path: str, body: Any, headers: Lines | None = None) -> Outcome:
    content = json.dumps(body).encode()
    return ask(check_request(path=path, body=content, provider=api, headers=headers))


def get(api: str, path: str, **changes: Any) -> Outcome:
    opened = changes.pop("opened", frozenset())
    return ask(
        check_request(**{"method": "GET", "path": path, "body": b"", "provider": api, **changes}),
        opened,
    )


def form(path: str, *parts: tuple[str, str], api: str = "openai") -> Outcome:
    body = "".join(f'--boundary7\r\nContent-Disposition: form-data; {name}\r\n\r\n{text}\r\n'
                   for name, text in parts) + "--boundary7--\r\n"  # fmt: skip
    return ask(
        check_request(
            path=path,
            body=body.encode(),
            provider=api,
            drop=("content-type",),
            headers=[("content-type", "multipart/form-data; boundary=boundary7")],
        )
    )


def ambiguous(why: str) -> Outcome:
    return Reason.AMBIGUOUS_MODEL, why


# ---- which table ---------------------------------------------------------------------------------


def test_the_route_chooses_the_table_and_the_provider_whose_manifests_count() -> None:
    message = check_request(provider="acme-gpu", api="vllm", path="/pooling", body=b'{"model":"m"}')
    assert ask(message) == Call("acme-gpu", "pooling", ("m",))


@pytest.mark.parametrize(("provider", "api"), [("nobody", None), ("openai", "OpenAI")])
def test_a_route_without_a_table_is_refused(provider: str, api: str | None) -> None:
    assert ask(check_request(provider=provider, api=api)) == (
        Reason.UNSUPPORTED_OPERATION,
        "this route names no API that the gate knows: have the operator set api in its"
        " context_extensions",
    )


# ---- OpenAI --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where",
    ["x.model", "messages[0].model", "tools[0].custom.model", "x.y[0].Model", "x.y.MODEL"],
)
def test_a_model_at_a_place_nobody_knows_is_refused(where: str) -> None:
    inner: Any = {where.rpartition(".")[2]: "other"}
    for name in reversed(where.split(".")[:-1]):
        key, _, index = name.partition("[")
        inner = {key: [inner] if index else inner}
    for tool in inner.get("tools", []):
        tool["type"] = "custom"
    place = where.replace("[0]", "[]")
    assert post("openai", "/v1/chat/completions", {"model": "m", **inner}) == ambiguous(
        f"{place}: a model at a place where none is known"
    )


@pytest.mark.parametrize("key", ["m\\u006fdel", "\uff4dodel", "\u24dcodel", "MODEL", "\\uff2dODEL"])
def test_a_model_hidden_by_the_way_it_is_written_is_found(key: str) -> None:
    outcome = ask(check_request(body=f'{{"model":"m","x":{{"{key}":"other"}}}}'.encode()))
    assert not isinstance(outcome, Call)
    assert outcome[0] is Reason.AMBIGUOUS_MODEL


@pytest.mark.parametrize(
    "body",
    [
        {"metadata": {"model": "T"}},
        {"tools": [{"type": "function", "function": {"parameters": {"model": {}}}}]},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"model": 1}}}},
        {"messages": [{"role": "user", "content": '{"model": "x"}'}]},
        {"x": {"model": None}},
    ],
)
def test_a_word_of_the_callers_own_data_is_no_model(body: dict[str, Any]) -> None:
    call = post("openai", "/v1/chat/completions", {"model": "m", **body})
    assert isinstance(call, Call)
    assert call.named == ("m",)


def test_a_form_names_its_model_in_one_field() -> None:
    call = form(
        "/v1/audio/transcriptions",
        ('name="file"; filename="a.wav"', "RIFF"),
        ('name="model"', "whisper"),
        ('name="stream"', "true"),
    )
    assert call == Call("openai", "audio.transcriptions", ("whisper",), stream=True)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([('name="model"', "a"), ('name="model"', "b")],
         ambiguous("form: the field model is given twice")),
        ([('name="model"', "a"), ('name="Model"', "b")],
         ambiguous("form: the field Model is a twin of one that is read")),
        ([('name="model"', "a"), ('name="model[]"', "b")],
         ambiguous("form: the field model[] is a twin of one that is read")),
        ([('name="model"', "a"), ('name="deployment"', "b")],
         ambiguous("the key deployment could change which model is run")),
        ([('name="prompt"', "a")],
         (Reason.MALFORMED_REQUEST, "the request names no model")),
        ([('name="model"', "")],
         (Reason.MALFORMED_REQUEST, "model is not a model id")),
        ([('name="model"', "a"), ('name="stream"', "yes")],
         (Reason.MALFORMED_REQUEST, "stream is neither true nor false")),
    ],
)  # fmt: skip
def test_a_form_that_could_name_another_model_is_refused(
    parts: list[tuple[str, str]], expected: Outcome
) -> None:
    assert form("/v1/audio/transcriptions", *parts) == expected


def test_an_operation_with_a_form_takes_no_json_unless_its_row_says_so() -> None:
    assert post("openai", "/v1/audio/transcriptions", {"model": "m"}) == (
        Reason.MALFORMED_REQUEST,
        "Content-Type is not multipart/form-data",
    )
    edits = Call("openai", "images.edits", ("m",))
    assert post("openai", "/v1/images/edits", {"model": "m"}) == edits
    assert form("/v1/images/edits", ('name="model"', "m")) == edits


def test_a_tuning_job_names_what_it_tunes_and_every_grader() -> None:
    grader = {"type": "multi", "graders": {"a": {"model": "g1"}, "b": [{"model": "g2"}]}}
    body = {
        "model": "gpt-4o",
        "training_file": "file_1",
        "method": {"type": "reinforcement", "reinforcement": {"grader": grader}},
        "metadata": {"admissibility_specification": f"sha256:{DIGEST}", "model": "a word"},
    }
    call = post("openai", "/v1/fine_tuning/jobs", body)
    assert call == Call(
        "openai",
        "fine_tuning.jobs.create",
        call.models if isinstance(call, Call) else (),
        tuned=("gpt-4o",),
        specification=DIGEST,
    )
    assert isinstance(call, Call)
    assert sorted(call.models) == ["g1", "g2"]


def test_a_tuning_job_elsewhere_brings_its_specification_in_a_header() -> None:
    path = "/openai/fine_tuning/jobs?api-version=2025-04-01-preview"
    header = [("x-environment-specification", DIGEST)]
    assert post("azure", path, {"model": "gpt-4o"}, header) == Call(
        "azure", "fine_tuning.jobs.create", (), tuned=("gpt-4o",), specification=DIGEST
    )
    base = f"{ARN}:foundation-model/amazon.nova"
    body = {"baseModelIdentifier": base, "jobTags": [{"key": "model", "value": "x"}]}
    assert post("bedrock", "/model-customization-jobs", body, header) == Call(
        "bedrock", "fine_tuning.jobs.create", (), tuned=(base,), specification=DIGEST
    )


@pytest.mark.parametrize("value", ["", "x", DIGEST[:-1], DIGEST.upper(), 7])
def test_a_specification_is_named_by_its_digest(value: Any) -> None:
    body = {"model": "m", "metadata": {"admissibility_specification": value}}
    assert post("openai", "/v1/fine_tuning/jobs", body) == (
        Reason.MALFORMED_REQUEST,
        "the environment specification is not named by its SHA-256",
    )


def test_two_specifications_are_refused() -> None:
    body = {"model": "m", "metadata": {"admissibility_specification": DIGEST}}
    header = [("x-environment-specification", "00" * 32)]
    assert post("openai", "/v1/fine_tuning/jobs", body, header) == (
        Reason.MALFORMED_REQUEST,
        "two different environment specifications are named",
    )


def test_a_batch_names_its_file() -> None:
    body = {"input_file_id": "file_1", "endpoint": "/v1/responses", "completion_window": "24h"}
    assert post("openai", "/v1/batches", body) == Call(
        "openai", "batches.create", (), references=(Reference("file", "file_1"),)
    )


def test_a_batch_is_not_run_from_a_file_that_no_upload_brought() -> None:
    body = {"input_file_id": "file_1", "input_blob": "https://acme.blob.core.windows.net/in/x"}
    told = post("azure", "/openai/v1/batches", body)
    assert told == (
        Reason.UNSUPPORTED_OPERATION,
        "batches.create with input_blob: what is stored upstream may name another model",
    )
    assert not isinstance(
        post("azure", "/openai/v1/batches", {**body, "input_file_id": None}), Call
    )


def test_a_video_made_from_another_names_it() -> None:
    assert post("openai", "/v1/videos/video_1/remix", {"prompt": "x"}) == Call(
        "openai", "videos.remix", (), references=(Reference("video", "video_1"),)
    )


WEBSOCKET = [("upgrade", "websocket"), ("connection", "Upgrade")]
OPENED = frozenset({"realtime.connect"})


def test_a_realtime_session_is_shut_until_it_is_opened() -> None:
    path = "/v1/realtime?model=gpt-realtime"
    assert get("openai", path, headers=WEBSOCKET) == (
        Reason.UNSUPPORTED_OPERATION,
        "realtime.connect is shut unless the operator opens it: frames of the session are not"
        " read; one may name a transcription model",
    )
    assert get("openai", path, headers=WEBSOCKET, opened=OPENED) == Call(
        "openai", "realtime.connect", ("gpt-realtime",), stream=True
    )


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/v1/realtime?model=m", [], (Reason.MALFORMED_REQUEST, "this operation is a WebSocket")),
        ("/v1/realtime?model=m", [("upgrade", "h2c"), ("connection", "Upgrade")],
         (Reason.MALFORMED_REQUEST, "this operation is a WebSocket")),
        ("/v1/realtime?model=m", [*WEBSOCKET, ("upgrade", "h2c")],
         (Reason.MALFORMED_REQUEST, "this operation is a WebSocket")),
        ("/v1/realtime?model=m", [*WEBSOCKET, ("content-length", "5")],
         (Reason.MALFORMED_REQUEST, "a WebSocket begins without a body")),
        ("/v1/realtime", WEBSOCKET, (Reason.MALFORMED_REQUEST, "the request names no model")),
        ("/v1/realtime?model=m&model=n", WEBSOCKET, ambiguous("the query has model twice")),
        ("/v1/realtime?model=m&deployment=n", WEBSOCKET,
         ambiguous("the query names a model beside the place that counts")),
        ("/v1/realtime?model=m&call_id=c", WEBSOCKET,
         (Reason.UNSUPPORTED_OPERATION, "realtime.connect with call_id in the query: what is"
          " stored upstream may name another model")),
        ("/v1/realtime?model=%6d", WEBSOCKET,
         (Reason.MALFORMED_REQUEST, "a value in the query is not plainly written")),
    ],
)  # fmt: skip
def test_an_opened_session_is_exactly_a_websocket_for_one_model(
    path: str, headers: Lines, expected: Outcome
) -> None:
    assert get("openai", path, headers=headers, opened=OPENED) == expected


# ---- Azure ---------------------------------------------------------------------------------------

CHAT_AT = "/openai/deployments/support/chat/completions"


def test_every_model_of_azure_is_a_deployment() -> None:
    expected = Call("azure", "chat.completions", ("support",), deployments=("support",))
    version = "?api-version=2024-10-21"
    assert post("azure", CHAT_AT + version, {"messages": []}) == expected
    assert post("azure", CHAT_AT + version, {"model": "support"}) == expected
    assert post("azure", "/openai/v1/chat/completions", {"model": "support"}) == expected


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (CHAT_AT, {"model": "other"}, ambiguous("path, query and body name different models")),
        (f"{CHAT_AT}?api-version=1&api-version=2", {},
         (Reason.MALFORMED_REQUEST, "a value in the query is not plainly written")),
        (f"{CHAT_AT}?model=x", {},
         ambiguous("the query names a model beside the place that counts")),
        ("/openai/deployments/a%2Fb/chat/completions", {},
         (Reason.MALFORMED_REQUEST, "the model id in the path is not plainly written")),
        (CHAT_AT, {"data_sources": []},
         ambiguous("the key data_sources could change which model is run")),
        ("/openai/deployments/support/extensions/chat/completions", {},
         (Reason.UNSUPPORTED_OPERATION, "extensions.chat.completions is refused: the deployment's"
          " extensions choose further models")),
    ],
)  # fmt: skip
def test_a_deployment_is_named_once(path: str, body: Any, expected: Outcome) -> None:
    assert post("azure", path, body) == expected


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
    ],
)
def test_an_arn_in_the_path_is_decoded_once_and_told_apart(model: str, deployed: bool) -> None:
    call = Call("bedrock", "converse", (model,), deployments=(model,) if deployed else ())
    assert post("bedrock", f"/model/{escaped(model)}/converse", {"messages": []}) == call


@pytest.mark.parametrize("kind", ["prompt", "prompt-router", "default-prompt-router", "flow"])
def test_what_chooses_models_by_itself_is_refused(kind: str) -> None:
    model = f"{ARN}:{kind}/x"
    assert post("bedrock", f"/model/{escaped(model)}/converse", {}) == (
        Reason.UNSUPPORTED_OPERATION,
        f"{model} chooses models by itself",
    )


@pytest.mark.parametrize(
    "segment",
    ["arn%253Aaws", "arn%3Aaws%3A..%2Fx", "a%2Fb", "arn:aws:x/../y", "arn%3Aaws%3Ab%00", "..%2Fm"],
)
def test_a_name_in_a_path_is_plain_or_an_arn(segment: str) -> None:
    outcome = post("bedrock", f"/model/{segment}/converse", {})
    assert not isinstance(outcome, Call)
    assert outcome[0] in {Reason.MALFORMED_REQUEST, Reason.UNSUPPORTED_OPERATION}


def test_a_job_of_bedrock_is_read_back_by_its_arn() -> None:
    opened = frozenset({"fine_tuning.jobs.retrieve"})
    path = f"/model-customization-jobs/{escaped(f'{ARN}:model-customization-job/base/abc')}"
    call = Call("bedrock", "fine_tuning.jobs.retrieve", (), carrier=True)
    assert get("bedrock", path, opened=opened) == call
    for other in ("..%2Fx", "a%2Fb", "arn%3Aaws%3A..%2F"):
        refused = get("bedrock", f"/model-customization-jobs/{other}", opened=opened)
        assert not isinstance(refused, Call)
        assert refused[0] is Reason.MALFORMED_REQUEST


def test_a_model_in_a_native_body_is_that_of_the_path_or_refused() -> None:
    """Some models' own form has ``model`` in it; Converse has it nowhere."""
    assert post("bedrock", "/model/m/invoke", {"model": "m"}) == Call("bedrock", "invoke", ("m",))
    assert post("bedrock", "/model/m/invoke", {"model": "n"}) == ambiguous(
        "path, query and body name different models"
    )
    assert post("bedrock", "/model/m/converse", {"model": "m"}) == ambiguous(
        "model: a model at a place where none is known"
    )


@pytest.mark.parametrize(
    ("path", "body", "types"),
    [
        ("/model/m/converse", {"toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]}},
         ("function",)),
        ("/model/m/converse", {"additionalModelRequestFields":
         {"tools": [{"type": "computer_20250124", "name": "c"}]}}, ("computer_20250124",)),
        ("/model/m/invoke", {"tools": [{"name": "f", "input_schema": {}}, {"type": "bash"}]},
         ("bash", "function")),
        ("/model/m/invoke", {"toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]}},
         ("function",)),
    ],
)  # fmt: skip
def test_a_tool_of_bedrock_is_seen_whether_or_not_it_says_its_type(
    path: str, body: Any, types: tuple[str, ...]
) -> None:
    call = post("bedrock", path, body)
    assert isinstance(call, Call)
    assert call.tool_types == types


def test_what_goes_to_the_model_beside_converse_names_no_other() -> None:
    body = {"additionalModelRequestFields": {"thinking": {"type": "enabled"}}}
    assert post("bedrock", "/model/m/converse", body) == Call("bedrock", "converse", ("m",))
    assert post(
        "bedrock", "/model/m/converse", {"additionalModelRequestFields": {"model": "n"}}
    ) == ambiguous("additionalModelRequestFields.model: a model at a place where none is known")


def test_a_stream_of_bedrock_is_one_by_its_path() -> None:
    call = post("bedrock", "/model/m/converse-stream", {})
    assert call == Call("bedrock", "converse", ("m",), stream=True)


def test_an_asynchronous_invocation_names_its_model_in_the_body() -> None:
    body = {"modelId": f"{ARN}:provisioned-model/x", "modelInput": {"text": "y"}}
    name = str(body["modelId"])
    assert post("bedrock", "/async-invoke", body) == Call(
        "bedrock", "invoke.async", (name,), deployments=(name,)
    )


# ---- open weights --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api", "path"),
    [
        ("vllm", "/v1/load_lora_adapter"),
        ("vllm", "/invocations"),
        ("vllm", "/inference/v1/generate"),
        ("vllm", "/update_weights"),
        ("vllm", "/collective_rpc"),
        ("sglang", "/generate"),
        ("sglang", "/update_weights_from_disk"),
        ("ollama", "/api/pull"),
        ("ollama", "/api/create"),
    ],
)
def test_administration_is_shut(api: str, path: str) -> None:
    outcome = post(api, path, {"model": "m"})
    assert not isinstance(outcome, Call)
    assert outcome[0] is Reason.UNSUPPORTED_OPERATION


@pytest.mark.parametrize("body", [{"model": ""}, {"model": None}, {}])
def test_a_server_that_would_run_its_base_model_is_told_a_name(body: Any) -> None:
    outcome = post("vllm", "/v1/chat/completions", body)
    assert not isinstance(outcome, Call)
    assert outcome[0] is Reason.MALFORMED_REQUEST


def test_an_adapter_beside_the_model_is_refused() -> None:
    body = {"model": "base", "lora_path": "other"}
    assert post("sglang", "/v1/chat/completions", body) == ambiguous(
        "the key lora_path could change which model is run"
    )


def test_an_adapter_after_its_base_is_one_name_and_bound_like_a_deployment() -> None:
    """Whatever stands before the colon, the adapter runs; no base model's pattern may cover it."""
    body = {"model": "base:adapter"}
    name = ("base:adapter",)
    assert post("sglang", "/v1/chat/completions", body) == Call(
        "sglang", "chat.completions", name, deployments=name
    )
    plain = Call("sglang", "chat.completions", ("base",))
    assert post("sglang", "/v1/chat/completions", {"model": "base"}) == plain


@pytest.mark.parametrize("blob", ["https://store.example/in.jsonl", {"url": "x"}])
def test_a_batch_from_the_callers_own_storage_is_refused(blob: Any) -> None:
    path = "/openai/batches?api-version=2025-04-01-preview"
    for body in ({"input_blob": blob}, {"input_file_id": "file_1", "input_blob": blob}):
        assert post("azure", path, {"endpoint": "/chat/completions", **body}) == (
            Reason.UNSUPPORTED_OPERATION,
            "batches.create with input_blob: what is stored upstream may name another model",
        )


def test_a_tag_that_can_be_pulled_anew_is_a_deployment() -> None:
    body = {"model": "llama3:8b", "messages": []}
    assert post("ollama", "/api/chat", body) == Call(
        "ollama", "chat.completions", ("llama3:8b",), stream=True, deployments=("llama3:8b",)
    )


# ---- the tables themselves -----------------------------------------------------------------------

ROWS = [(api.name, row) for api in APIS.values() for row in api.operations]


def test_a_row_reads_what_could_name_a_model_or_says_why_it_need_not() -> None:
    for api, row in ROWS:
        names = row.has_main or row.reads or row.form or "{" in row.route
        if row.kind is not Kind.CARRIER and not row.never:
            assert names, (api, row.name)
        if row.kind is Kind.CARRIER:
            assert row.shut, (api, row.name)
            assert not row.has_main, (api, row.name)
            roles = {*row.reads.values(), *row.form.values(), *row.query.values()}
            assert not roles & {Role.MODEL, Role.TUNED, Role.MODELS_BELOW}, (api, row.name)
        assert not (row.shut and row.never), (api, row.name)


def test_only_a_row_that_is_shut_can_be_opened() -> None:
    named = {row.name for _, row in ROWS if not row.shut}
    assert not shut_operations() & named
