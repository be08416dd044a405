"""Forms, written byte by byte, and what is read of them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from sidecar.extract.multipart import MultipartError, Part, parse

B = "b" * 24
TYPE = f"multipart/form-data; boundary={B}"
MODEL = 'Content-Disposition: form-data; name="model"'
FILE = 'Content-Disposition: form-data; name="file"; filename="a.jsonl"'

Read = tuple[str, str | None, str | None, bytes]


def part(headers: str | bytes = MODEL, data: bytes = b"m") -> bytes:
    lines = headers.encode() if isinstance(headers, str) else headers
    return lines + b"\r\n\r\n" + data + b"\r\n"


def form(*parts: bytes, boundary: str = B, end: bytes = b"\r\n") -> bytes:
    mark = b"--" + boundary.encode()
    return b"".join(mark + b"\r\n" + each for each in parts) + mark + b"--" + end


def plain(parts: Iterable[Part]) -> list[Read]:
    return [(p.name, p.filename, p.content_type, bytes(p.value)) for p in parts]


def read(body: bytes, content_type: str = TYPE) -> list[Read]:
    return plain(parse(content_type, body))


def refusal(body: bytes, content_type: str = TYPE) -> str:
    with pytest.raises(MultipartError) as caught:
        parse(content_type, body)
    return str(caught.value)


LINES = "a part's header is folded, has no colon, or has a control character"
BEGIN = "the form does not begin with its boundary"
END = "the form does not end with its boundary"
GOOD = form(part())
