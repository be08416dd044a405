"""Converts a raw HTTP/1.1 request from a file into the ``CheckRequest`` Envoy would send.

For dry runs. Nothing is corrected on the way, so that the gate sees what is wrong with it.
"""

from __future__ import annotations

import re

from sidecar._pb import ext_authz_pb2 as pb
from sidecar.extract.check_request import SANDBOX

_START = re.compile(r"([^ ]+) ([^ ]+) HTTP/1\.[01]")
_END_OF_HEAD = re.compile(rb"\r\n\r\n|\n\n")
_NO_BODY = frozenset({"GET", "HEAD"})


class RawRequestError(Exception):
    """The file is no HTTP request; the message states the line and the problem."""


def parse(data: bytes, *, provider: str, api: str, sandbox: bool = False) -> pb.CheckRequest:
    """Parse a request into a ``CheckRequest``.

    Lines may end in CRLF or LF, as in a file written by hand. A body without a ``Content-Length``
    gets one, and the final line end that editors add is removed.

    Args:
        data: Start line, headers, an empty line, the body.
        provider: Value of the route's context extension ``provider``.
        api: Value of the route's context extension ``api``.
        sandbox: Whether the route is a sandbox, by its context extension.

    Raises:
        RawRequestError: The start line or a header cannot be read.
    """
    parts = _END_OF_HEAD.split(data, maxsplit=1)
    body = parts[1] if len(parts) == 2 else b""
    lines = parts[0].decode("latin-1").replace("\r\n", "\n").rstrip("\n").split("\n")
    start = _START.fullmatch(lines[0])
    if start is None:
        raise RawRequestError("line 1 must be METHOD TARGET HTTP/1.1")
    method, target = start.groups()
    headers = [_header(number, line) for number, line in enumerate(lines[1:], start=2)]
    names = {name for name, _ in headers}
    if "transfer-encoding" in names:
        raise RawRequestError(
            "Transfer-Encoding is not supported; save the body whole, with Content-Length"
        )
    if "content-length" not in names:
        body = body.removesuffix(b"\n").removesuffix(b"\r")
        if body or method not in _NO_BODY:
            headers.append(("content-length", str(len(body))))
    host = next((value for name, value in headers if name == "host"), "localhost")
    pseudo = [(":authority", host), (":path", target), (":method", method)]
    extensions = {"provider": provider, "api": api} | ({SANDBOX: "true"} if sandbox else {})
    return _check_request([*pseudo, *headers], body, extensions)


def _header(number: int, line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name or name != name.strip():
        raise RawRequestError(f"line {number} is not a header, NAME: VALUE")
    return name.lower(), value.strip(" \t")


def _check_request(
    lines: list[tuple[str, str]], body: bytes, extensions: dict[str, str]
) -> pb.CheckRequest:
    pseudo = dict(lines)
    return pb.CheckRequest(
        attributes=pb.AttributeContext(
            request=pb.AttributeContext.Request(
                http=pb.AttributeContext.HttpRequest(
                    id="dry-run",
                    method=pseudo[":method"],
                    path=pseudo[":path"],
                    host=pseudo[":authority"],
                    scheme="http",
                    protocol="HTTP/1.1",
                    size=len(body),
                    raw_body=body,
                    header_map=pb.HeaderMap(
                        headers=[
                            pb.HeaderValue(key=name, raw_value=value.encode("latin-1"))
                            for name, value in lines
                        ]
                    ),
                )
            ),
            context_extensions=extensions,
        )
    )
