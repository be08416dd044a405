"""A body is exactly the bytes that go upstream, and JSON that all parsers read alike."""

from __future__ import annotations

import pytest

from sidecar.core.reasons import Reason
from tests.support.gate.asking import Outcome
from tests.support.gate.requests import Lines, as_check_request, get_request, json_body
from tests.support.gate.small_requests import MAX_BYTES, chat, malformed, outcome

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
    message = as_check_request(body=b"", headers=[("upgrade", "websocket")])
    assert outcome(message) == malformed("this operation cannot be upgraded to another protocol")


@pytest.mark.parametrize("text", ['{"model":"m!"}', '{"model":"m","x!!":1}'])
def test_a_repaired_text_body_is_refused(text: str) -> None:
    assert outcome(as_check_request(body=b"", text_body=text)) == malformed(
        "the body came as text, perhaps repaired: have the operator set pack_as_bytes"
    )


def test_a_text_body_of_another_length_is_refused() -> None:
    message = as_check_request(
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
    message = as_check_request(body=b"", headers=[("content-type", "application/json")])
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
