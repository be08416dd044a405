"""Stored objects that a call names as input are found wherever they are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.core.call import Call, Reference
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.extractor import ExtractOptions, extract
from sidecar.extract.http_request import HttpRequest
from sidecar.providers import PROVIDERS
from sidecar.providers.stored_inputs import StoredInputs

FILE, STORE, BOX = (
    Reference("file", "file-1"),
    Reference("vector_store", "vs_1"),
    Reference("container", "cntr_1"),
)
CHAT, RESPONSES, JOBS = "/v1/chat/completions", "/v1/responses", "/v1/fine_tuning/jobs"
OPENED = frozenset({"agents.environments.create", "containers.create"})


def read(
    path: str, body: bytes | dict[str, Any], *, content_type: str = "", inputs: bool = True
) -> Call:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = (
        ("content-type", content_type or "application/json"),
        ("content-length", str(len(raw))),
    )
    request = HttpRequest("POST", path, headers, raw_body=raw, provider="openai", api="openai")
    return extract(request, ExtractOptions(1 << 20, OPENED, inputs=inputs))


def said(*content: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(content)}]


NAMED: list[tuple[str, dict[str, Any], tuple[Reference, ...]]] = [
    (CHAT, {"messages": said({"type": "file", "file": {"file_id": "file-1"}})}, (FILE,)),
    (RESPONSES, {"input": said({"type": "input_file", "file_id": "file-1"})}, (FILE,)),
    (RESPONSES, {"input": said({"type": "input_image", "file_id": "file-1"})}, (FILE,)),
    (
        RESPONSES,
        {
            "input": [
                {
                    "type": "function_call_output",
                    "call_id": "c",
                    "output": [{"type": "input_image", "file_id": "file-1"}],
                }
            ]
        },
        (FILE,),
    ),
    (
        RESPONSES,
        {
            "input": [
                {
                    "type": "computer_call_output",
                    "output": {"type": "computer_screenshot", "file_id": "file-1"},
                }
            ]
        },
        (FILE,),
    ),
    (
        RESPONSES,
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]}]},
        (STORE, Reference("vector_store", "vs_2")),
    ),
    (RESPONSES, {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, (BOX,)),
    (
        RESPONSES,
        {
            "tools": [
                {
                    "type": "code_interpreter",
                    "container": {"type": "auto", "file_ids": ["file-1"]},
                }
            ]
        },
        (FILE,),
    ),
    (
        RESPONSES,
        {
            "tools": [
                {
                    "type": "image_generation",
                    "model": "m",
                    "input_image_mask": {"file_id": "file-1"},
                }
            ]
        },
        (FILE,),
    ),
    (
        RESPONSES,
        {
            "tools": [
                {
                    "type": "shell",
                    "environment": {"type": "container_reference", "container_id": "cntr_1"},
                }
            ]
        },
        (BOX,),
    ),
    (
        JOBS,
        {"training_file": "file-1", "validation_file": "file-2"},
        (FILE, Reference("file", "file-2")),
    ),
    (
        "/v1/images/edits",
        {"images": [{"file_id": "file-1"}], "mask": {"file_id": "file-2"}},
        (FILE, Reference("file", "file-2")),
    ),
    ("/v1/videos", {"input_reference": {"file_id": "file-1"}}, (FILE,)),
    ("/v1/containers", {"file_ids": ["file-1"]}, (FILE,)),
    (
        "/v1/agents/environments",
        {"environment": {"files": [{"type": "file_id", "file_id": "file-1"}]}, "vault_ids": ["v"]},
        (Reference("vault", "v"), FILE),
    ),
    (CHAT, {"of": [{"a": {"later": [{"kind": {"file_id": "file-1"}}]}}]}, (FILE,)),
]


@pytest.mark.parametrize(("path", "body", "named"), NAMED)
def test_what_a_call_names_as_input_is_found_at_any_depth(
    path: str, body: dict[str, Any], named: tuple[Reference, ...]
) -> None:
    assert set(read(path, {"model": "m", **body}).inputs) == set(named)


@pytest.mark.parametrize(("path", "body", "_named"), NAMED)
def test_with_registration_off_a_call_is_what_it_was(
    path: str, body: dict[str, Any], _named: tuple[Reference, ...]
) -> None:
    assert read(path, {"model": "m", **body}, inputs=False).inputs == ()


@pytest.mark.parametrize("key", ["file\\u005fid", "\\u0066ile_id", "FILE_ID", "File_Id"])
def test_a_key_that_some_server_reads_as_one_of_the_table_is_found(key: str) -> None:
    body = f'{{"model": "m", "messages": [{{"content": [{{"{key}": "file-1"}}]}}]}}'
    assert read(CHAT, body.encode()).inputs == (FILE,)


def test_a_key_with_a_letter_that_go_folds_is_found() -> None:
    body = '{"model": "m", "tools": [{"type": "x", "vector_\u017ftore_id\u017f": ["vs_1"]}]}'
    assert read(RESPONSES, body.encode()).inputs == (STORE,)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"metadata": {"file_id": "order 17/3"}}),
        (CHAT, {"messages": [{"role": "user", "content": '{"file_id": "file-1"}'}]}),
        (CHAT, {"messages": said({"type": "file", "file": {"file_id": None, "file_data": "x"}})}),
        (
            CHAT,
            {"tools": [{"type": "function", "function": {"parameters": {"file_id": {"a": "b"}}}}]},
        ),
        (
            RESPONSES,
            {"input": [{"content": [{"annotations": [{"file_id": "cfile_1"}]}], "role": "user"}]},
        ),
        (
            RESPONSES,
            {"input": [{"type": "file_search_call", "results": [{"file_id": "file-1"}]}]},
        ),
        (RESPONSES, {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
    ],
)
def test_the_callers_own_data_and_earlier_answers_name_no_input(
    path: str, body: dict[str, Any]
) -> None:
    assert read(path, {"model": "m", **body}).inputs == ()


@pytest.mark.parametrize("value", [5, True, "file-1/../file-2", "", ["a b"]])
def test_what_cannot_be_an_id_is_refused_where_owners_count(value: Any) -> None:
    with pytest.raises(AdmissibilityError, match="file_id must be an id") as caught:
        read(CHAT, {"model": "m", "messages": said({"file": {"file_id": value}})})
    assert caught.value.reason is Reason.MALFORMED_REQUEST


def test_what_the_row_itself_reads_is_asked_for_once() -> None:
    call = read("/v1/batches", {"input_file_id": "file-1", "model": None})
    assert (call.references, call.inputs) == ((FILE,), ())


def form(*fields: tuple[str, str]) -> bytes:
    parts = (
        f'--b0undary\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in fields
    )
    return "".join((*parts, "--b0undary--\r\n")).encode()


FORM = "multipart/form-data; boundary=b0undary"


@pytest.mark.parametrize("name", ["input_reference[file_id]", "file_ids[]", "file_ids[0]"])
def test_a_field_of_a_form_names_an_input(name: str) -> None:
    body = form(("model", "m"), (name, "file-1"), ("prompt", '{"file_id": "x"}'))
    assert read("/v1/videos", body, content_type=FORM).inputs == (FILE,)


def test_a_field_of_json_that_may_name_an_input_is_refused() -> None:
    body = form(("model", "m"), ("input_reference", ' {"file_id": "file-1"}'))
    with pytest.raises(AdmissibilityError, match="send its id in a field of its own"):
        read("/v1/videos", body, content_type=FORM)
    assert read("/v1/videos", body, content_type=FORM, inputs=False).inputs == ()


def test_a_body_that_is_not_read_for_models_is_read_where_it_may_name_an_input() -> None:
    with pytest.raises(AdmissibilityError, match="which may name stored objects"):
        read("/v1/containers", b'{"file_ids": ["file-1"], "file_ids": []}')
    assert read("/v1/containers", b"no JSON at all").inputs == ()


def test_no_key_is_searched_for_in_a_body_without_one() -> None:
    inputs = PROVIDERS["openai"].inputs
    plain = json.dumps({"model": "m", "messages": said({"type": "text", "text": "hé"})}).encode()
    assert not inputs.may_be_in(plain.replace(b"\\u00e9", "é".encode()))
    missed = [key for key in inputs.kinds if not inputs.may_be_in(json.dumps({key: "x"}).encode())]
    assert missed == []


def test_the_guide_names_every_key() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "stored-objects.md").read_text()
    assert [key for key in PROVIDERS["openai"].inputs.kinds if f"`{key}`" not in guide] == []


def test_a_table_whose_keys_could_not_match_is_an_error() -> None:
    with pytest.raises(ValueError, match="must be in lower case"):
        StoredInputs({"fileId": "file"})
