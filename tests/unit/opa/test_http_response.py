"""A response of OPA is read whole and in one way, or not at all."""

from __future__ import annotations

import pytest

from sidecar.opa.http_response import MAX_HEAD_BYTES, Response, ResponseError, ResponseParser

LONGEST = 64
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

READ = {
    "sized": (OK + b"Content-Length: 2\r\n\r\n{}", Response(200, b"{}", last=False)),
    "empty": (OK + b"content-length: 0\r\n\r\n", Response(200, b"", last=False)),
    "closed after": (
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length:2\r\nConnection: Close\r\n\r\nno",
        Response(500, b"no", last=True),
    ),
    "without a phrase": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Response(200, b"", False)),
    "without a body": (b"HTTP/1.1 204 No Content\r\n\r\n", Response(204, b"", last=False)),
    "chunks": (
        CHUNKED + b"3\r\nabc\r\n0a\r\n\r\n34567890\r\n0\r\n\r\n",
        Response(200, b"abc\r\n34567890", last=False),
    ),
    "no chunk": (CHUNKED + b"0\r\n\r\n", Response(200, b"", last=False)),
    "as long as may be": (
        OK + b"Content-Length: 64\r\n\r\n" + b"x" * 64,
        Response(200, b"x" * 64, last=False),
    ),
}


@pytest.mark.parametrize("what", READ)
def test_a_response_is_read_however_its_bytes_come(what: str) -> None:
    data, expected = READ[what]
    for size in (1, 2, 3, 7, len(data)):
        parser = ResponseParser(LONGEST)
        parts = [data[at : at + size] for at in range(0, len(data), size)]
        found = [parser.feed(part) for part in parts]
        assert found == [None] * (len(parts) - 1) + [expected]


REFUSED = {
    "another protocol": (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "no status line"),
    "no status": (b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n", "no status line"),
    "an interim response": (b"HTTP/1.1 100 Continue\r\n\r\n", "no status line"),
    "no length": (OK + b"\r\n", "without one length"),
    "two lengths": (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", "without one length"),
    "a list of lengths": (OK + b"Content-Length: 2, 2\r\n\r\n{}", "without one length"),
    "a signed length": (OK + b"Content-Length: +2\r\n\r\n{}", "without one length"),
    "both": (CHUNKED[:-2] + b"Content-Length: 2\r\n\r\n{}", "another coding"),
    "gzip": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "another coding"),
    "chunked twice": (CHUNKED[:-2] + b"Transfer-Encoding: chunked\r\n\r\n", "another coding"),
    "a folded field": (OK + b"X: 1\r\n 2\r\nContent-Length: 0\r\n\r\n", "malformed field"),
    "a space before the colon": (OK + b"Content-Length : 0\r\n\r\n", "malformed field"),
    "a bare line feed": (OK + b"X: 1\nContent-Length: 0\r\n\r\n", "malformed field"),
    "an extension of a chunk": (CHUNKED + b"3;x=1\r\nabc\r\n0\r\n\r\n", "size of a chunk"),
    "a chunk without a size": (CHUNKED + b"\r\nabc", "size of a chunk"),
    "a size without an end": (CHUNKED + b"0" * 16, "size of a chunk"),
    "a chunk that is too long": (CHUNKED + b"2\r\nabc\r\n", "longer than its size"),
    "a trailer": (CHUNKED + b"0\r\nX: 1\r\n\r\n", "after the last chunk"),
    "more than was sent for": (OK + b"Content-Length: 2\r\n\r\n{}x", "after the response"),
    "another response": (READ["no chunk"][0] + OK, "after the response"),
    "a long body": (OK + b"Content-Length: 65\r\n\r\n", "too long"),
    "long chunks": (CHUNKED + b"40\r\n" + b"x" * 64 + b"\r\n1\r\n", "too long"),
    "an endless head": (OK + b"X: " + b"x" * MAX_HEAD_BYTES, "head of the response is too long"),
    "a long head": (OK + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", "head of the response"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_response_in_another_form_is_refused_with_the_reason(what: str) -> None:
    data, why = REFUSED[what]
    with pytest.raises(ResponseError, match=why):
        ResponseParser(LONGEST).feed(data)


def test_a_response_that_ends_early_is_none() -> None:
    for data, _ in READ.values():
        for end in range(len(data)):
            assert ResponseParser(LONGEST).feed(data[:end]) is None
