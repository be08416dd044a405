"""A request from a file reaches the gate as it stands there: nothing is repaired."""

from __future__ import annotations

import pytest

from sidecar.extract import check_request
from sidecar.extract.http_request import HttpRequest
from sidecar.extract.raw_request import RawRequestError, parse


def read(data: bytes) -> HttpRequest:
    message = parse(data, provider="acme", api="vllm")
    return check_request.read(message, credential_header="x-environment-credential")


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_request_is_read_with_either_line_end(end: bytes) -> None:
    head = [b"POST /v1/x?a=%2f HTTP/1.1", b"Host: h", b"Upgrade:  b: c ", b"UPGRADE: d"]
    data = end.join(head) + end + end + b"{\xff}\n"
    assert read(data) == HttpRequest(
        method="POST",
        path="/v1/x?a=%2f",
        headers=(("host", "h"), ("upgrade", "b: c"), ("upgrade", "d"), ("content-length", "3")),
        raw_body=b"{\xff}",
        provider="acme",
        api="vllm",
        request_id="dry-run",
    )


def test_a_length_that_is_given_is_believed_with_every_byte_that_follows() -> None:
    request = read(b"POST / HTTP/1.1\nContent-Length: 2\n\nab\n")
    assert (request.headers, request.raw_body) == ((("content-length", "2"),), b"ab\n")


def test_a_get_without_a_body_has_no_length() -> None:
    assert read(b"GET /v1/models/x HTTP/1.1\n\n").headers == ()
    assert read(b"GET /v1/models/x HTTP/1.1").headers == ()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "line 1 must be METHOD TARGET HTTP/1.1"),
        (b"{}", "line 1 must be METHOD TARGET HTTP/1.1"),
        (b"GET / HTTP/2\n\n", "line 1 must be METHOD TARGET HTTP/1.1"),
        (b"GET / HTTP/1.1\nnonsense\n\n", "line 2 is not a header, NAME: VALUE"),
        (b"GET / HTTP/1.1\na: b\n folded: c\n\n", "line 3 is not a header, NAME: VALUE"),
        (b"GET / HTTP/1.1\n: b\n\n", "line 2 is not a header, NAME: VALUE"),
        (
            b"POST / HTTP/1.1\nTransfer-Encoding: chunked\n\n0\n\n",
            "Transfer-Encoding is not supported; save the body whole, with Content-Length",
        ),
    ],
)
def test_what_is_no_request_says_why(data: bytes, why: str) -> None:
    with pytest.raises(RawRequestError) as caught:
        parse(data, provider="p", api="p")
    assert str(caught.value) == why
