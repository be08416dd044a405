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
            (Reason.BODY_INCOMPLETE, "Envoy sent the gate only a prefix of the body"),
        ),
        (
            [("content-length", "99")],
            ("content-length",),
            (
                Reason.BODY_INCOMPLETE,
                "Envoy sent the gate 13 bytes of the body; Content-Length is 99",
            ),
        ),
        (
            [("content-length", "5")],
            ("content-length",),
            (
                Reason.BODY_INCOMPLETE,
                "Envoy sent the gate 13 bytes of the body; Content-Length is 5",
            ),
        ),
        (
            [("content-length", "+13")],
            ("content-length",),
            malformed("Content-Length must be a decimal number of at most 18 digits"),
        ),
        (
            [("content-encoding", "gzip")],
            (),
            (Reason.UNSUPPORTED_ENCODING, "Content-Encoding must be identity or absent"),
        ),
        (
            [("content-encoding", "identity, gzip")],
            (),
            (Reason.UNSUPPORTED_ENCODING, "Content-Encoding must be identity or absent"),
        ),
        (
            [("transfer-encoding", "gzip, chunked")],
            ("content-length",),
            malformed("Transfer-Encoding must be chunked, and Content-Length absent beside it"),
        ),
        (
            [("transfer-encoding", "chunked")],
            (),
            malformed("Transfer-Encoding must be chunked, and Content-Length absent beside it"),
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
            malformed("Content-Type must be application/json, in UTF-8"),
        ),
        (
            [("content-type", "application/json; charset=utf-16")],
            ("content-type",),
            malformed("Content-Type must be application/json, in UTF-8"),
        ),
        ([], ("content-type",), malformed("Content-Type must be application/json, in UTF-8")),
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
        "Envoy sent the body as text, which may differ from its"
        " bytes; have the operator set pack_as_bytes"
    )


def test_a_text_body_of_another_length_is_refused() -> None:
    message = as_check_request(
        body=b"",
        text_body='{"model":"m"}',
        drop=("content-length",),
        headers=[("content-length", "9")],
    )
    assert outcome(message) == malformed(
        "Envoy sent the body as text, which may differ from its"
        " bytes; have the operator set pack_as_bytes"
    )


def test_a_body_beyond_the_cap_is_refused() -> None:
    body = json_body(padding="x" * MAX_BYTES)
    why = f"the body has {len(body)} bytes; at most {MAX_BYTES} are allowed"
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
        (b'{"model":"m","x":' + b"[" * 2000 + b"]" * 2000 + b"}", "body: nested deeper than 64"),
        (
            b'{"model":"m","x":' + b"9" * 400 + b"}",
            "body: a number with more than 308 digits",
        ),
        (b'["model"]', "body: not a JSON object"),
        (b'{"model":"m"}{}', "body: not JSON: Extra data at character 13"),
        (b'{"messages":[]}', "the request names no model: name it"),
        (b'{"model":null}', "the request names no model: name it"),
        (b'{"model":""}', "model must be a model id of 1 to 512 printable ASCII characters"),
        (b'{"model":7}', "model must be a model id of 1 to 512 printable ASCII characters"),
        (b'{"model":["m"]}', "model must be a model id of 1 to 512 printable ASCII characters"),
        (b'{"model":"a b"}', "model must be a model id of 1 to 512 printable ASCII characters"),
        (b'{"model":"m\\n"}', "model must be a model id of 1 to 512 printable ASCII characters"),
        (b'{"model":"m\\u0000"}', (
"model must be a model id of 1 to 512"
" printable ASCII characters"
)),
        ('{"model":"\uff4d"}'.encode(), (
"model must be a model id of 1 to 512"
" printable ASCII characters"
)),
        (b'{"model":"' + b"m" * 513 + b'"}', (
"model must be a model id of 1 to 512"
" printable ASCII characters")),
        (b'{"model":"m","stream":"true"}', "stream must be true or false"),
        (b'{"model":"m","stream":1}', "stream must be true or false"),
        (b'{"model":"m","modalities":"text"}', "modalities must be a list"),
        (b'{"model":"m","modalities":[1]}', (
"modalities[] must be 1 to 64 letters,"
" digits or . _ : -"
)),
        (b'{"model":"m","tools":{}}', "tools must be a list"),
        (b'{"model":"m","tools":"x"}', "tools must be a list"),
        (b'{"model":"m","tools":["x"]}', "tools[] must be an object"),
        (b'{"model":"m","tools":[null]}', "tools[] must be an object with the key type"),
        (b'{"model":"m","tools":[{}]}', "tools[] must be an object with the key type"),
        (b'{"model":"m","tools":[{"type":null}]}', (
"tools[].type must be 1 to 64 letters,"
" digits or . _ : -"
)),
        (b'{"model":"m","tools":[{"type":"x","model":{}}]}', (
"tools[].model must be a model id of 1 to 512"
" printable ASCII characters"
)),
        (b'{"model":"m","moderation":"x"}', "moderation must be an object"),
        (b'{"model":"m","moderation":{"model":""}}', (
"moderation.model must be a model id of 1 to"
" 512 printable ASCII characters"
)),
    ],
)  # fmt: skip
def test_json_that_two_parsers_could_read_differently_is_refused(body: bytes, why: str) -> None:
    assert chat(body) == malformed(why)
