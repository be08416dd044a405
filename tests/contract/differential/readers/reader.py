"""What a server written in Python reads: ``json``, ``email`` and ``urllib``, used naively.

Speaks with the test over its standard streams. A question is a four-byte length, one letter for
the kind, and the bytes; an answer is a four-byte length, ``+`` and lines, or ``-`` and why not. A
line is a place, ``=`` and the value in hexadecimal digits.
"""

from __future__ import annotations

import json
import posixpath
import struct
import sys
from email import message_from_bytes
from email.message import Message
from email.policy import HTTP
from typing import Any
from urllib.parse import unquote, urlsplit

Lines = list[tuple[str, bytes]]


def of_json(data: bytes) -> Lines:
    """Every model that a body names, and whether it asks for a stream."""
    body = json.loads(data)
    found = [("model", body["model"])] if body.get("model") is not None else []
    found += [("moderation", each) for each in models_of(body.get("moderation"))]
    found += in_tools(body.get("tools"))
    items = body.get("input")
    if isinstance(items, list):
        for item in items:
            found += in_tools(item.get("tools"))
    stream = body.get("stream")
    if not isinstance(stream, bool | None):
        raise TypeError("stream")
    lines = [(place, text(value)) for place, value in found]
    return [*lines, ("stream", str(bool(stream)).lower().encode())]


def models_of(holder: Any) -> list[Any]:
    return [] if holder is None or holder.get("model") is None else [holder["model"]]


def in_tools(tools: Any) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    if tools is not None and not isinstance(tools, list):
        raise TypeError("tools")
    for tool in tools or []:
        found += [("tool", each) for each in models_of(tool)]
        found += [("svg", each) for each in models_of(tool.get("svg"))]
    return found


def text(value: Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value.encode("utf-8", "surrogatepass")


def of_form(data: bytes) -> Lines:
    """Every text and file called ``model``, and the names of the others."""
    length = int.from_bytes(data[:2], "big")
    content_type, body = data[2 : 2 + length], data[2 + length :]
    message: Message = message_from_bytes(
        b"Content-Type: " + content_type + b"\r\n\r\n" + body, policy=HTTP
    )
    if not message.is_multipart():
        raise ValueError("not a form")
    return [line for part in message.iter_parts() for line in of_part(part)]  # type: ignore[attr-defined]


def of_part(part: Any) -> Lines:
    name = part.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        raise TypeError("name")
    value = part.get_payload(decode=True)
    if value is None:
        raise ValueError("parts in a part")
    return [form_line(name, is_file=part.get_filename() is not None, value=value)]


def form_line(name: str, *, is_file: bool, value: bytes) -> tuple[str, bytes]:
    if name == "model":
        return ("file" if is_file else "text"), value
    return "name", name.encode("utf-8", "surrogateescape")


def of_path(data: bytes) -> Lines:
    """The path that a handler sees: split, decoded, tidied."""
    target = data.decode("latin-1")
    return [("path", posixpath.normpath(unquote(urlsplit(target).path)).encode())]


KINDS = {b"j": of_json, b"m": of_form, b"p": of_path}


def answer(question: bytes) -> bytes:
    try:
        lines = KINDS[question[:1]](question[1:])
    except Exception as error:  # noqa: BLE001 - whatever it is, this server would not serve
        return f"-{type(error).__name__}".encode()
    return b"+" + "\n".join(f"{place}={value.hex()}" for place, value in lines).encode()


def main() -> None:
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(4):
        said = answer(source.read(*struct.unpack(">I", head)))
        sink.write(struct.pack(">I", len(said)) + said)
        sink.flush()


if __name__ == "__main__":
    main()
