"""Requests made from published operations, with a distinct id at every place that is filled."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sidecar.extract.http_request import HttpRequest
from tests.contract.operations.operations import Published
from tests.contract.operations.schemas import FILE

BOUNDARY = "----------------------------7f9a1c"
_FORMS = {
    "azure": "deployment-{}",
    "bedrock": "vendor.model-{}-v1:0",
    "openai": "ft:base:acme:model:{}",
}


@dataclass(frozen=True, slots=True)
class Filled:
    """A request, and what was put into it.

    Attributes:
        request: To be given to the gate.
        models: Every model id that stands in it.
        references: Every id of a stored object that stands in its body.
        path_references: Those that stand in its path.
    """

    request: HttpRequest
    models: frozenset[str]
    references: frozenset[str]
    path_references: frozenset[str]


def fill(
    operation: Published,
    *,
    places: tuple[str, ...] = (),
    references: tuple[str, ...] = (),
    query: bool = False,
    form: str = "",
    agree: bool = True,
) -> Filled:
    """Make the request.

    Args:
        operation: The published operation.
        places: Places of model ids to fill beside the required ones.
        references: Places of stored objects to fill beside the required ones.
        query: Whether to fill query parameters that name a model or a stored object.
        form: What the model ids look like, with ``{}`` for a number; else as is usual there.
        agree: Whether a plain ``model`` in the body says what the path says.
    """
    ids = _Ids(form or _FORMS[operation.api])
    path = _path(operation, ids, query=query)
    in_path = frozenset(ids.objects)
    ids.objects.clear()
    body = operation.body
    for place in places:
        body = merged(body, operation.models[place])
    for place in references:
        body = merged(body, operation.references[place][1])
    body = json.loads(json.dumps(body))
    _name_painters(body)
    in_path_too = ids.models[:1] if agree else []
    for place in operation.models:
        again = place == "model" and in_path_too
        set_at(body, place, (lambda: in_path_too[0]) if again else ids.model)
    for place in operation.references:
        set_at(body, place, ids.object)
    headers, raw = _sent(operation, body)
    request = HttpRequest(
        method=operation.method,
        path=path,
        headers=(("host", "gateway.example"), *headers),
        raw_body=raw,
        provider=operation.api,
        api=operation.api,
    )
    return Filled(request, frozenset(ids.models), frozenset(ids.objects), in_path)


def merged(one: Any, other: Any) -> Any:
    """Both bodies in one: objects joined, lists joined, else the more telling of the two."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = dict.fromkeys((*one, *other))
        return {
            key: merged(one[key], other[key])
            if key in one and key in other
            else one.get(key, other.get(key))
            for key in keys
        }
    if isinstance(one, list) and isinstance(other, list):
        return one + [item for item in other if item not in one]
    return other if isinstance(other, dict | list) or one is None else one


def _name_painters(value: Any) -> None:
    """Let every tool that makes pictures say with which model; else it is refused for that."""
    if isinstance(value, dict) and value.get("type") == "image_generation":
        value.setdefault("model", "any")
    for item in value.values() if isinstance(value, dict) else value or ():
        if isinstance(item, dict | list):
            _name_painters(item)


def set_at(value: Any, place: str, make: Any) -> None:
    """Put a fresh id wherever ``place`` stands in ``value``."""
    _set(value, [part for part in re.split(r"\.|(\[\])", place) if part], make)


def _set(value: Any, parts: list[str], make: Any) -> None:
    for key in _keys(value, parts[0]):
        if len(parts) > 1:
            _set(value[key], parts[1:], make)
        elif isinstance(value[key], str):
            value[key] = make()


def _keys(value: Any, part: str) -> Iterator[Any]:
    if part == "[]" and isinstance(value, list):
        yield from range(len(value))
    elif part == "*" and isinstance(value, dict):
        yield from list(value)
    elif isinstance(value, dict) and part in value:
        yield part


class _Ids:
    """Distinct ids, and a record of what was given out."""

    def __init__(self, form: str) -> None:
        self._form = form
        self.models: list[str] = []
        self.objects: list[str] = []

    def model(self) -> str:
        self.models.append(self._form.format(len(self.models) + 1))
        return self.models[-1]

    def object(self) -> str:
        self.objects.append(f"obj_{len(self.objects) + 1}")
        return self.objects[-1]


def _path(operation: Published, ids: _Ids, *, query: bool) -> str:
    path, mark, fixed = operation.path.partition("?")
    pairs = [fixed] if mark else []
    for where, name, role in operation.parameters:
        if where == "path":
            path = path.replace(f"{{{name}}}", _in_path(operation, role, ids))
        elif name == "api-version":
            pairs.append("api-version=2024-10-21")
        elif where == "query" and (query or operation.upgrade):
            if role in ("model", "deployment", "filter"):
                pairs.append(f"{name}={quote(ids.model(), safe='')}")
            elif role.startswith("id:") and not operation.upgrade:
                pairs.append(f"{name}={ids.object()}")
    return path + ("?" + "&".join(pairs) if pairs else "")


def _in_path(operation: Published, role: str, ids: _Ids) -> str:
    if role in ("model", "deployment"):
        return quote(ids.model(), safe="" if operation.api == "bedrock" else ":")
    return ids.object() if role.startswith("id:") else "plain_1"


def _sent(operation: Published, body: Any) -> tuple[tuple[tuple[str, str], ...], bytes]:
    if operation.upgrade:
        return (("connection", "Upgrade"), ("upgrade", "websocket")), b""
    if not operation.content:
        return (), b""
    kind = operation.content
    if kind.startswith("multipart/"):
        raw = _form(operation, body or {})
        kind += f"; boundary={BOUNDARY}"
    else:
        raw = json.dumps(body).encode() if kind == "application/json" else b"v=0\r\n"
    return (("content-type", kind), ("content-length", str(len(raw)))), raw


def _form(operation: Published, body: dict[str, Any]) -> bytes:
    """As the SDK writes it: ``a[b]`` for what is nested, a file with a name, JSON where told."""
    lines = []
    for name, value in body.items():
        if name in operation.json_parts:
            lines.append(_part(name, json.dumps(value), "application/json"))
            continue
        for key, item in _flat(name, value):
            lines.append(_part(key, item))
    # A form has at least one part (RFC 2046, 5.1.1), also where every field is optional.
    return "".join([*(lines or [_part("file", FILE)]), f"--{BOUNDARY}--\r\n"]).encode()


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(f"{name}[{key}]", item)
    elif isinstance(value, list):
        for item in value:
            yield from _flat(f"{name}[]", item)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)


def _part(name: str, value: str, kind: str = "") -> str:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
    if value == FILE:
        head += '; filename="a.bin"\r\nContent-Type: application/octet-stream'
        value = "bytes"
    elif kind:
        head += f"\r\nContent-Type: {kind}"
    return f"{head}\r\n\r\n{value}\r\n"
