"""Requests to OpenAI: every place of a body, a form or a session that names a model."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.core.call import Call, Reference
from sidecar.core.reasons import Reason
from tests.support.gate.asking import DIGEST, Outcome, ambiguous, ask, form, get, post
from tests.support.gate.requests import Lines, as_check_request


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
        f"{place}: a model at a path where this operation reads none"
    )


@pytest.mark.parametrize("key", ["m\\u006fdel", "\uff4dodel", "\u24dcodel", "MODEL", "\\uff2dODEL"])
def test_a_model_hidden_by_the_way_it_is_written_is_found(key: str) -> None:
    outcome = ask(as_check_request(body=f'{{"model":"m","x":{{"{key}":"other"}}}}'.encode()))
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
         ambiguous("form: the field model occurs twice")),
        ([('name="model"', "a"), ('name="Model"', "b")],
         ambiguous("form: the field Model is a twin of one that is read")),
        ([('name="model"', "a"), ('name="model[]"', "b")],
         ambiguous("form: the field model[] is a twin of one that is read")),
        ([('name="model"', "a"), ('name="deployment"', "b")],
         ambiguous("the key deployment could make a server run another model")),
        ([('name="prompt"', "a")],
         (Reason.MALFORMED_REQUEST, "the request names no model: name it")),
        ([('name="model"', "")],
         (Reason.MALFORMED_REQUEST, (
"model must be a model id of 1 to 512"
" printable ASCII characters"
))),
        ([('name="model"', "a"), ('name="stream"', "yes")],
         (Reason.MALFORMED_REQUEST, "stream must be true or false")),
    ],
)  # fmt: skip
def test_a_form_that_could_name_another_model_is_refused(
    parts: list[tuple[str, str]], expected: Outcome
) -> None:
    assert form("/v1/audio/transcriptions", *parts) == expected


def test_an_operation_with_a_form_takes_no_json_unless_its_row_says_so() -> None:
    assert post("openai", "/v1/audio/transcriptions", {"model": "m"}) == (
        Reason.MALFORMED_REQUEST,
        "Content-Type must be multipart/form-data",
    )
    edits = Call("openai", "images.edits", ("m",))
    assert post("openai", "/v1/images/edits", {"model": "m"}) == edits
    assert form("/v1/images/edits", ('name="model"', "m")) == edits


def test_a_picture_as_svg_names_its_author_in_json_and_in_a_form() -> None:
    asked = {"model": "m", "output_format": "svg", "svg": {"model": "author"}}
    edits = Call("openai", "images.edits", ("m", "author"))
    unnamed = ambiguous(
        "output_format svg without svg.model: the provider would choose that model; name it"
    )
    assert post("openai", "/v1/images/edits", asked) == edits
    assert post("openai", "/v1/images/edits", {**asked, "svg": None}) == unnamed
    fields = [('name="model"', "m"), ('name="output_format"', "svg")]
    effort = ('name="svg[reasoning][effort]"', "low")
    assert form("/v1/images/edits", *fields, effort) == unnamed
    assert form("/v1/images/edits", *fields, effort, ('name="svg[model]"', "author")) == edits
    for twin in ("svg", "svg[Model]", "svg[0][model]"):
        found = form(
            "/v1/images/edits", *fields, ('name="svg[model]"', "a"), (f'name="{twin}"', "b")
        )
        assert found == ambiguous(f"form: the field {twin} is a twin of one that is read")


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
    body = {
        "baseModelIdentifier": "amazon.nova-lite-v1:0",
        "jobTags": [{"key": "model", "value": "x"}],
    }
    assert post("bedrock", "/model-customization-jobs", body, header) == Call(
        "bedrock",
        "fine_tuning.jobs.create",
        (),
        tuned=("amazon.nova-lite-v1:0",),
        specification=DIGEST,
    )


@pytest.mark.parametrize("value", ["", "x", DIGEST[:-1], DIGEST.upper(), 7])
def test_a_specification_is_named_by_its_digest(value: Any) -> None:
    body = {"model": "m", "metadata": {"admissibility_specification": value}}
    assert post("openai", "/v1/fine_tuning/jobs", body) == (
        Reason.MALFORMED_REQUEST,
        "the environment specification must be named by its SHA-256, 64 lower-case hex digits",
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


SPOKEN = (
    ("/v1/audio/speech", lambda voice: {"model": "m", "input": "x", "voice": voice}),
    (
        "/v1/chat/completions",
        lambda voice: {"model": "m", "messages": [], "audio": {"voice": voice, "format": "wav"}},
    ),
)


@pytest.mark.parametrize(("path", "body"), SPOKEN)
def test_a_voice_that_somebody_had_made_is_an_adaptation_without_evidence(
    path: str, body: Any
) -> None:
    operation = path.removeprefix("/v1/").replace("/", ".")
    assert post("openai", path, body("alloy")) == Call("openai", operation, ("m",))
    refused = post("openai", path, body({"id": "voice_1234"}))
    assert not isinstance(refused, Call)
    assert refused[0] is Reason.UNSUPPORTED_OPERATION
    assert "voice.id: what is stored upstream may name another model" in refused[1]


WEBSOCKET = [("upgrade", "websocket"), ("connection", "Upgrade")]
OPENED = frozenset({"realtime.connect"})


def test_a_realtime_session_is_shut_until_it_is_opened() -> None:
    path = "/v1/realtime?model=gpt-realtime"
    assert get("openai", path, headers=WEBSOCKET) == (
        Reason.UNSUPPORTED_OPERATION,
        "realtime.connect is closed unless open_operations in sidecar.yaml lists it: frames"
        " of the session are not"
        " read; one may name a transcription model",
    )
    assert get("openai", path, headers=WEBSOCKET, opened=OPENED) == Call(
        "openai", "realtime.connect", ("gpt-realtime",), stream=True
    )


@pytest.mark.parametrize(
    ("offered", "passes"),
    [
        ("realtime", True),
        ("realtime, openai-beta.realtime-v1", True),
        ("realtime, openai-insecure-api-key.sk-1", False),
        ("realtime,openai-organization.org-1", False),
        ("realtime, OpenAI-Project.proj_1", False),
    ],
)
def test_a_session_is_not_opened_in_another_account(offered: str, passes: bool) -> None:
    headers = [*WEBSOCKET, ("sec-websocket-protocol", offered)]
    expected: Outcome = Call("openai", "realtime.connect", ("m",), stream=True)
    if not passes:
        expected = ambiguous(
            "sec-websocket-protocol may only be openai-beta.realtime-v1, realtime: another one"
            " could make a server use another account; leave it out"
        )
    assert get("openai", "/v1/realtime?model=m", headers=headers, opened=OPENED) == expected


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/v1/realtime?model=m", [], (Reason.MALFORMED_REQUEST, (
"this operation needs a WebSocket handshake: Upgrade:"
" websocket, and Connection: Upgrade"
))),
        ("/v1/realtime?model=m", [("upgrade", "h2c"), ("connection", "Upgrade")],
         (Reason.MALFORMED_REQUEST, (
"this operation needs a WebSocket handshake: Upgrade:"
" websocket, and Connection: Upgrade"
))),
        ("/v1/realtime?model=m", [*WEBSOCKET, ("upgrade", "h2c")],
         (Reason.MALFORMED_REQUEST, (
"this operation needs a WebSocket handshake: Upgrade:"
" websocket, and Connection: Upgrade"
))),
        ("/v1/realtime?model=m", [*WEBSOCKET, ("content-length", "5")],
         (Reason.MALFORMED_REQUEST, "a WebSocket handshake has no body")),
        (
            "/v1/realtime",
            WEBSOCKET,
            (Reason.MALFORMED_REQUEST, "the request names no model: name it"),
        ),
        ("/v1/realtime?model=m&model=n", WEBSOCKET, ambiguous("the query has model twice")),
        ("/v1/realtime?model=m&deployment=n", WEBSOCKET,
         ambiguous("the query names a model where this operation reads none")),
        ("/v1/realtime?model=m&call_id=c", WEBSOCKET,
         (Reason.UNSUPPORTED_OPERATION, "realtime.connect with call_id in the query: what is"
          " stored upstream may name another model")),
        ("/v1/realtime?model=%6d", WEBSOCKET,
         (Reason.MALFORMED_REQUEST, (
"model in the query may only be letters, digits"
" and . _ : @ , -, unescaped"
))),
    ],
)  # fmt: skip
def test_an_opened_session_is_exactly_a_websocket_for_one_model(
    path: str, headers: Lines, expected: Outcome
) -> None:
    assert get("openai", path, headers=headers, opened=OPENED) == expected
