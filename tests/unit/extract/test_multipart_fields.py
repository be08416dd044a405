"""Fields of a form: a wanted one comes once, as text; what could be taken for one is refused."""

from __future__ import annotations

import pytest

from sidecar.extract.multipart import (
    AmbiguousFieldError,
    MultipartError,
    Part,
    fields,
    parse,
    refuse_twins,
)
from tests.support.gate.forms import FILE, TYPE, form, part


def named(*names: str, data: bytes = b"m") -> tuple[Part, ...]:
    disposition = 'Content-Disposition: form-data; name="{}"'
    return parse(TYPE, form(*(part(disposition.format(name), data) for name in names)))


def test_wanted_fields_are_read_as_text_and_the_others_are_left_alone() -> None:
    parts = named("model", "include[]", "include[]", "prompt", "modelling", data="é".encode())
    assert fields(parts, ["model", "stream"]) == {"model": "é"}


@pytest.mark.parametrize(
    "name",
    ["Model", "MODEL", "model[]", "model[0]", "model[a]", "Model[]", "model[][]"],
)
def test_a_field_that_some_server_takes_for_a_wanted_one_is_refused(name: str) -> None:
    with pytest.raises(AmbiguousFieldError) as caught:
        fields(named("model", name), ["model"])
    assert str(caught.value) == f"the field {name} is a twin of one that is read"


@pytest.mark.parametrize(
    ("wanted", "twin"), [("include[]", "include"), ("api-version", "api_version")]
)
def test_lists_and_hyphens_have_twins_too(wanted: str, twin: str) -> None:
    refuse_twins([wanted, "x"], [wanted])
    with pytest.raises(AmbiguousFieldError):
        refuse_twins([twin], [wanted])


def test_a_value_that_is_interpreted_has_a_limit_and_a_prompt_has_none() -> None:
    text = b"x" * ((64 << 10) + 1)
    assert fields(named("note", data=text), ["model"]) == {}
    assert fields(named("prompt", data=text), ["prompt"], ["prompt"]) == {"prompt": text.decode()}
    with pytest.raises(MultipartError) as caught:
        fields(named("model", data=text), ["model"], ["prompt"])
    assert str(caught.value) == "the field model has 65537 bytes; at most 65536 are read"


def test_a_wanted_field_comes_once_as_text() -> None:
    with pytest.raises(AmbiguousFieldError, match="the field model occurs twice"):
        fields(named("model", "x", "model"), ["model"])
    with pytest.raises(AmbiguousFieldError, match="the field file is a file"):
        fields(parse(TYPE, form(part(FILE))), ["file"])
    with pytest.raises(MultipartError, match="the field model is not UTF-8"):
        fields(named("model", data=b"\xff"), ["model"])
    with pytest.raises(MultipartError, match="the field model begins with a byte-order mark"):
        fields(named("model", data=b"\xef\xbb\xbfm"), ["model"])


@pytest.mark.parametrize(
    "name", ["svg[model]", "svg[Model]", "a[b][model]", "a[models]", "a[0][modelId]"]
)
def test_a_field_that_names_a_model_where_none_is_wanted_is_refused(name: str) -> None:
    with pytest.raises(AmbiguousFieldError) as caught:
        fields(named("prompt", name, "svg[size]"), ["prompt"])
    assert str(caught.value) == (
        f"the field {name} could name a model, and this operation does not read it"
    )
    assert fields(named(name), [name]) == {name: "m"}


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; a=b", "text/x.y+json"])
def test_a_field_of_json_that_nobody_reads_is_refused(kind: str) -> None:
    head = f'Content-Disposition: form-data; name="session"\r\nContent-Type: {kind}'.encode()
    with pytest.raises(AmbiguousFieldError) as caught:
        fields(parse(TYPE, form(part(head))), ["prompt"])
    assert str(caught.value) == "the field session is JSON, which could name a model"


def test_a_field_of_json_without_a_model_is_left_alone() -> None:
    """As openai-ruby writes ``chunking_strategy``: JSON, with its type."""
    head = (
        b'Content-Disposition: form-data; name="chunking_strategy"\r\n'
        b"Content-Type: application/json"
    )
    parts = parse(TYPE, form(part(head, b'{"type":"server_vad","threshold":0.5}')))
    assert fields(parts, ["model"]) == {}


@pytest.mark.parametrize(
    "data",
    [
        b'{"model": "y"}',
        b' [{"a": {"Model_ID": 1}}]',
        b'{"m\\u006fdel": 1}',
        b'{"\xef\xbd\x8d": 1}',
    ],
)
def test_a_field_that_reads_as_json_with_a_model_is_refused(data: bytes) -> None:
    """Some servers parse whatever text looks like JSON; only what is wanted is known to be text."""
    with pytest.raises(AmbiguousFieldError) as caught:
        fields(named("session", data=data), ["prompt"])
    assert str(caught.value) == "the field session reads as JSON that names a model"
    assert fields(named("prompt", data=data), ["prompt"]) == {"prompt": data.decode()}
    assert fields(named("session", data=b'{"type": "server_vad"}'), ["prompt"]) == {}
