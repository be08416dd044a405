"""A remembered head changes no outcome of step 0: it holds everything that step 0 reads of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.core.call import Call
from sidecar.extract import heads as module
from sidecar.extract.check_request import VALUES
from sidecar.extract.extractor import ExtractOptions
from sidecar.extract.heads import Heads
from sidecar.extract.parsed_request import ReadOptions, parse
from tests.support.examples import examples
from tests.support.gate.requests import HEADER, as_check_request, json_body

OPTIONS = ReadOptions(HEADER, ExtractOptions(1 << 12))
EXTENSIONS = ("provider", "api", "trusted_forwarder", "sandbox", "any")


def held(heads: Heads, message: pb.CheckRequest) -> bool:
    split = heads.split(message)
    return split is not None and heads.find(split[0]) is not None


def question(number: int = 1, **changes: Any) -> pb.CheckRequest:
    body = json_body(messages=[{"role": "user", "content": "?" * number}])
    headers = [("cookie", f"c{number}"), ("x-request-id", f"r-{number}")]
    return as_check_request(**{"body": body, "credential": "t", "headers": headers, **changes})


def test_a_head_is_remembered_whatever_varies_in_it() -> None:
    heads = Heads(HEADER)
    first, second = (parse(question(number), OPTIONS, heads) for number in (1, 200))
    assert isinstance(second.outcome, Call)
    assert second.request is first.request
    assert (first.request_id, second.request_id) == ("r-1", "r-200")
    assert second == parse(question(200), OPTIONS)


CHANGES: dict[str, dict[str, Any]] = {
    "method": {"method": "PUT"},
    "path": {"path": "/v1/completions"},
    "credential": {"credential": "u"},
    "provider": {"provider": "other"},
    "api": {"api": "openai"},
    "principal": {"principal": "spiffe://a/b"},
    "certificate": {"certificate": "c"},
    "a name more": {"headers": [("cookie", ""), ("x-request-id", ""), ("x-more", "")]},
    "a name less": {"headers": [("x-request-id", "")]},
    "host": {"headers": [("cookie", ""), ("x-request-id", ""), (":authority", "other.example")]},
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_head_that_differs_in_what_is_read_is_another(name: str) -> None:
    heads = Heads(HEADER)
    parse(question(), OPTIONS, heads)
    assert held(heads, question(7))
    assert not held(heads, question(7, **CHANGES[name]))


@pytest.mark.parametrize("name", EXTENSIONS)
def test_every_context_extension_belongs_to_the_head(name: str) -> None:
    heads = Heads(HEADER)
    message = question()
    before = heads.split(message)
    message.attributes.context_extensions[name] = "true"
    after = heads.split(message)
    assert before is not None
    assert after is not None
    assert before[0] != after[0]


def test_a_remembered_head_of_a_sandbox_route_is_one() -> None:
    heads = Heads(HEADER)
    message = question()
    message.attributes.context_extensions["sandbox"] = "true"
    calls = [parse(message, OPTIONS, heads).outcome for _ in range(2)]
    assert [isinstance(call, Call) and call.sandbox for call in calls] == [True, True]


@pytest.mark.parametrize("name", sorted(VALUES - {"x-request-id", "content-length"}))
def test_every_value_that_is_read_belongs_to_the_head(name: str) -> None:
    def message(value: str) -> pb.CheckRequest:
        return question(headers=[(name, value)], drop=(name,))

    heads = Heads(HEADER)
    kept = [heads.split(message(value)) for value in ("identity", "other")]
    assert kept[0] is not None
    assert kept[1] is not None
    assert kept[0][0] != kept[1][0]


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Other", "1")],
        [("x-long", "1"), ("y" * module.MAX_HEAD_CHARS, "")],
        [("content-length", "99")],
    ],
)
def test_an_unusual_head_is_never_remembered(headers: list[tuple[str, str]]) -> None:
    heads = Heads(HEADER)
    message = question(headers=headers)
    assert parse(message, OPTIONS, heads) == parse(message, OPTIONS)
    assert not held(heads, message)


def test_no_more_heads_are_remembered_than_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HEADS", 2)
    heads = Heads(HEADER)
    messages = [question(credential=str(number)) for number in range(3)]
    for message in messages:
        parse(message, OPTIONS, heads)
    assert [held(heads, message) for message in messages] == [False, False, True]


NAMES = [*sorted(VALUES), HEADER, ":path", ":method", "x-admissibility-a", "x-odd", "X-Odd"]
TEXTS = ["", "1", "identity", "chunked", "application/json", "upgrade", "/v1/embeddings"]
LINES = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(TEXTS)), max_size=4)
BODIES = st.sampled_from([json_body(), json_body(model="m"), b"{", b"", b'{"model":1}', b"[]"])


@settings(max_examples=examples(300))
@given(
    shared=LINES,
    lines=st.lists(LINES, min_size=2, max_size=3),
    bodies=st.lists(BODIES, min_size=3, max_size=3),
    drop=st.sampled_from([(), ("content-length",), ("content-type",), (":path",)]),
)
def test_with_and_without_heads_every_request_has_one_outcome(
    shared: list[tuple[str, str]],
    lines: list[list[tuple[str, str]]],
    bodies: list[bytes],
    drop: tuple[str, ...],
) -> None:
    heads = Heads(HEADER)
    for own, body in zip([shared, *lines, shared], [*bodies, *bodies], strict=False):
        message = as_check_request(body=body, headers=[*shared, *own], drop=drop, credential="t")
        assert parse(message, OPTIONS, heads) == parse(message, OPTIONS)
