"""Whatever the gate takes from a body, an upstream that reads JSON as CPython does takes too."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.extractor import ExtractOptions, extract
from sidecar.extract.http_request import HttpRequest
from tests.support.examples import examples

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
PATHS = (CHAT, RESPONSES, "/v1/completions", "/v1/embeddings")
STEP_0 = {
    Reason.MALFORMED_REQUEST,
    Reason.UNSUPPORTED_OPERATION,
    Reason.AMBIGUOUS_MODEL,
    Reason.BODY_INCOMPLETE,
    Reason.UNSUPPORTED_ENCODING,
}

GOOD_MODELS = st.sampled_from(['"m-1"', '"m-2"', '"m\\u002d1"', '"m/3:x@y"'])
MODELS = GOOD_MODELS | st.sampled_from(['"\\ud83d\\ude00"', '"m 1"', '""', "null", "1", '["m-1"]'])
GOOD_KEYS = st.sampled_from(['"model"', '"a"', '"b"', '"tools"', '"moderation"', '"c d"'])
KEYS = GOOD_KEYS | st.sampled_from(['"m\\u006fdel"', '"Model"', '"\uff4dodel"', '"a"'])
GOOD_SCALARS = st.sampled_from(["true", "-0", "1.50e3", "[]", "{}", '"\\ud83d\\ude00"', '"m-4"'])
SCALARS = GOOD_SCALARS | st.sampled_from(["NaN", "1e400", "9" * 320, '"\\ud800"', "'x'"])
SPACE = st.sampled_from(["", " ", "\n", "\t", "\r\n"] * 12 + ["\u00a0", "\ufeff", "/**/"])
ENCODINGS = st.sampled_from(["utf-8"] * 30 + ["utf-8-sig", "utf-16", "utf-16-le"])


@st.composite
def members(draw: st.DrawFn, values: st.SearchStrategy[str]) -> str:
    keys, space = (GOOD_KEYS, st.just("")) if draw(st.booleans()) else (KEYS, SPACE)
    unique = draw(st.sampled_from([None, lambda pair: pair[1]]))
    pairs = draw(st.lists(st.tuples(space, keys, values), max_size=4, unique_by=unique))
    return "{" + ",".join(f"{before}{key}:{value}" for before, key, value in pairs) + "}"


TOOLS = members(MODELS).map(lambda text: '[{"type":"x",' + text[1:] + "]")
VALUES = st.recursive(GOOD_MODELS | GOOD_SCALARS | MODELS | SCALARS | TOOLS, members, max_leaves=6)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Text that is nearly JSON, or JSON, or JSON with a model named somewhere."""
    plain = draw(st.booleans())
    text = draw(members(GOOD_MODELS | GOOD_SCALARS if plain else VALUES))
    if '"model"' not in text:
        model = draw(GOOD_MODELS if plain else MODELS)
        text = f'{{"model":{model}' + ("}" if text == "{}" else "," + text[1:])
    if draw(st.booleans()):
        tools = draw(members(GOOD_MODELS if plain else VALUES))
        text = (
            text[:-1] + ',"tools":[{"type":"x"' + ("" if tools == "{}" else ",") + tools[1:] + "]}"
        )
    return (draw(SPACE) + text + draw(SPACE)).encode("utf-8" if plain else draw(ENCODINGS))


def taken(path: str, body: bytes) -> Call | Reason:
    """What the gate extracts, or why it refuses; nothing else may come out."""
    headers = (("content-type", "application/json"), ("content-length", str(len(body))))
    request = HttpRequest("POST", path, headers, raw_body=body, provider="openai", api="openai")
    try:
        return extract(request, ExtractOptions(1 << 20))
    except AdmissibilityError as error:
        return error.reason


def read_again(path: str, body: bytes) -> set[str]:
    """Every model at a place that this path has, as ``json.loads`` reads the body."""
    value = json.loads(body)
    places = ("tools", "moderation") if path in {CHAT, RESPONSES} else ()
    return {value["model"], *(model for key in places for model in shallow(value.get(key)))}


def shallow(value: Any) -> set[str]:
    """Models of an object, or of each object in a list; no deeper."""
    items = value if isinstance(value, list) else [value]
    found = {item["model"] for item in items if isinstance(item, dict) and "model" in item}
    return {model for model in found if isinstance(model, str)}


@settings(max_examples=examples(700))
@given(path=st.sampled_from(PATHS), body=bodies())
def test_what_the_gate_takes_from_a_body_is_what_cpython_reads(path: str, body: bytes) -> None:
    found = taken(path, body)
    if isinstance(found, Reason):
        event("refused")
        assert found in STEP_0
        return
    event("taken")
    assert set(found.models) == read_again(path, body)


@given(path=st.sampled_from(PATHS), model=st.from_regex(r"[!-~]{1,40}", fullmatch=True))
def test_a_plain_body_is_taken_whatever_the_model_is_called(path: str, model: str) -> None:
    for body in (json.dumps({"model": model}), json.dumps({"x": [1.5], "model": model}, indent=1)):
        found = taken(path, body.encode())
        assert isinstance(found, Call)
        assert found.models == (model,)
