"""What one request may cost a gate: bounds on what is walked, kept and shown to policies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.call import Call
from sidecar.core.reasons import Reason
from sidecar.extract.extractor import MAX_KEYS
from sidecar.extract.parsed_request import MAX_PARTS, THRESHOLD, LargeMessage, decode_message
from sidecar.extract.query import MAX_PAIRS
from sidecar.extract.tools import MAX_WORDS
from tests.support.gate.asking import get, post
from tests.support.gate.requests import as_check_request, json_body

GEMINI = "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-flash:generateContent"
CONVERSE = "/model/m.m/converse"
CHAT = "/v1/chat/completions"


def words(number: int) -> list[str]:
    return [f"w{each}" for each in range(number)]


SHOWN: dict[str, tuple[str, str, Any, str]] = {
    "modalities": ("openai", CHAT, lambda w: {"modalities": w}, "modalities[]"),
    "types of tools": (
        "openai",
        CHAT,
        lambda w: {"tools": [{"type": each} for each in w]},
        "tools[].type",
    ),
    "Gemini's tools": (
        "vertex",
        GEMINI,
        lambda w: {"tools": [{each: {} for each in w}]},
        "tools[]",
    ),
    "Bedrock's tools": (
        "bedrock",
        CONVERSE,
        lambda w: {"toolConfig": {"tools": [{"systemTool": {"name": each}} for each in w]}},
        "toolConfig.tools[].systemTool.name",
    ),
}


@pytest.mark.parametrize("what", SHOWN)
def test_a_call_shows_policies_a_few_words_and_not_a_hundred_thousand(what: str) -> None:
    """A lease keeps them and OPA walks them: 390,000 modalities held it up for a second."""
    api, path, body, where = SHOWN[what]
    named = {"model": "m"} if api == "openai" else {}
    most = words(MAX_WORDS)
    call = post(api, path, {**named, **body(most)})
    assert isinstance(call, Call)
    assert {*call.tool_types, *call.modalities} == {*most}
    assert post(api, path, {**named, **body(most * 10)}) == call
    assert post(api, path, {**named, **body(words(MAX_WORDS + 1))}) == (
        Reason.MALFORMED_REQUEST,
        f"more than {MAX_WORDS} different values of {where}",
    )


def test_types_of_tools_from_several_places_are_few_together() -> None:
    tools = [{"type": each} for each in words(MAX_WORDS)]
    assert post("openai", CHAT, {"model": "m", "tools": tools, "functions": [{}]}) == (
        Reason.MALFORMED_REQUEST,
        f"more than {MAX_WORDS} different values of types of tools",
    )


def test_a_body_has_as_many_keys_at_the_top_as_operations_have() -> None:
    keys = dict.fromkeys(words(MAX_KEYS - 1), 1)
    assert post("openai", CHAT, {"model": "m", **keys}) == Call(
        "openai", "chat.completions", ("m",)
    )
    assert post("openai", CHAT, {"model": "m", **keys, "one": 1}) == (
        Reason.MALFORMED_REQUEST,
        f"more than {MAX_KEYS} keys at the top; no operation has as many",
    )


def decoded(body: bytes) -> pb.CheckRequest | LargeMessage:
    return decode_message(as_check_request(body=body).SerializeToString())


def test_a_small_message_of_many_parts_is_not_walked_in_the_event_loop() -> None:
    """64 KiB of objects took it 20 ms, in which it answered nobody."""
    for unit, parts in (("{}", 1), ("[ ]", 1), ('{"a":1}', 2), ('{"a" :[1]}', 3)):
        many = ",".join([unit] * (MAX_PARTS // parts)).encode()
        body = json_body()[:-1] + b',"x":[' + many + b"]}"
        assert len(body) < THRESHOLD
        assert isinstance(decoded(body), LargeMessage), unit


def test_the_call_of_an_agent_with_many_tools_is_read_at_once() -> None:
    schema = {"type": "object", "properties": {each: {"type": "string"} for each in "abcde"}}
    tools = [
        {"type": "function", "function": {"name": f"f{n}", "description": "x" * 300, **schema}}
        for n in range(60)
    ]
    messages = [{"role": "user", "content": "so: what is it? " * 40}] * 40
    body = json.dumps({"model": "m", "tools": tools, "messages": messages}).encode()
    assert THRESHOLD / 2 < len(body) < THRESHOLD
    assert isinstance(decoded(body), pb.CheckRequest)


@pytest.mark.parametrize("pair", ["a;", "a[]", "%41;", "[", "amodel;"])
def test_a_long_query_is_refused_without_a_look_at_all_of_it(pair: str) -> None:
    def ask(query: str) -> object:
        return get("openai", f"/v1/models/m?{query}")

    refused = ask(pair * MAX_PAIRS * 100)
    assert refused == (
        Reason.MALFORMED_REQUEST,
        "a key of the query is not letters, digits, . _ - and parts in brackets",
    )
    assert ask(f"model=m;{pair * MAX_PAIRS * 100}") == (
        Reason.AMBIGUOUS_MODEL,
        "the query names a model where this operation reads none",
    )
