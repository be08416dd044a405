"""The OpenAI SDK's own types, reduced to what a provider's table has to know.

A second source, newer than the document in places and independent of it: every resource method
says its HTTP method and path in its source, and its body as a ``TypedDict``.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import types
import typing
from collections.abc import Iterator
from typing import Any

import openai
import openai.resources
import typing_extensions

from tests.contract.operations.openapi import body_of, in_order, parameters_of
from tests.contract.operations.schemas import Schema, Walker

_METHODS = {
    "_post": "POST",
    "_get": "GET",
    "_get_api_list": "GET",
    "_delete": "DELETE",
    "_patch": "PATCH",
    "_put": "PUT",
}
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def version() -> str:
    """Of the installed SDK."""
    return openai.__version__


def reduce() -> list[dict[str, Any]]:
    """Every operation of the installed SDK, sorted; those it offers twice are told once."""
    schemas = _Schemas()
    walker = Walker({"types": schemas.made})
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for module in _modules():
        for call, name in _calls(module):
            row = _row(module, call, name, schemas, walker)
            key = row["method"], row["path"]
            rows[key] = _joined(rows[key], row) if key in rows else row
    for row in _sockets():
        rows[row["method"], row["path"] + " upgrade"] = row
    return in_order(list(rows.values()))


def _sockets() -> list[dict[str, Any]]:
    """Connections that the SDK opens in code (``connect``), not in a resource method."""
    told: dict[str, list[tuple[str, str]]] = {
        "realtime": [("query", "model"), ("query", "call_id")],
        "responses": [],
        "live/sessions": [],
        "live/sessions/{session_id}/attach": [("path", "session_id")],
        "live/sessions/{session_id}/fork": [("path", "session_id")],
    }
    return [
        {"id": f"{path}.connect", "method": "GET", "path": f"/v1/{path}", "upgrade": True}
        | parameters_of(parameters, "UPGRADE")
        for path, parameters in told.items()
    ]


def _modules() -> Iterator[types.ModuleType]:
    found = pkgutil.walk_packages(openai.resources.__path__, "openai.resources.")
    for info in sorted(found, key=lambda item: item.name):
        yield importlib.import_module(info.name)


def _calls(module: types.ModuleType) -> Iterator[tuple[ast.Call, str]]:
    """Calls that send a request, in the module's synchronous classes."""
    for owner in ast.parse(inspect.getsource(module)).body:
        if not isinstance(owner, ast.ClassDef) or owner.name.startswith("Async"):
            continue
        for method in owner.body:
            if not isinstance(method, ast.FunctionDef):
                continue
            for node in ast.walk(method):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in _METHODS
                ):
                    yield node, f"{module.__name__.partition('resources.')[2]}.{method.name}"


def _row(
    module: types.ModuleType, call: ast.Call, name: str, schemas: _Schemas, walker: Walker
) -> dict[str, Any]:
    first = call.args[0]
    template = first if isinstance(first, ast.Constant) else typing.cast("ast.Call", first).args[0]
    path = str(typing.cast("ast.Constant", template).value).partition("?")[0]
    parameters = [
        ("path", piece.partition("}")[0]) for piece in path.split("{")[1:] if "}" in piece
    ]
    given = {word.arg: word.value for word in call.keywords}
    for expected, told in _types(module, given.get("options")):
        parameters += [("query", key) for key in schemas.keys(expected) & (told or set())]
    bodies = [schemas.only(expected, told) for expected, told in _types(module, given.get("body"))]
    content: dict[str, Schema] = {}
    if "body" in given:
        kind = "multipart/form-data" if "files" in given else "application/json"
        content = {kind: {"anyOf": bodies}} if bodies else {kind: {"type": "object"}}
    method = _METHODS[typing.cast("ast.Attribute", call.func).attr]
    if isinstance(said := given.get("method"), ast.Constant):
        method = str(said.value).upper()
    return {
        "id": name,
        "method": method,
        "path": "/v1" + path,
        **parameters_of(parameters, method),
        **body_of(walker, content),
    }


def _types(module: types.ModuleType, value: ast.expr | None) -> list[tuple[Any, set[str] | None]]:
    """What each ``maybe_transform({…}, X)`` in an argument names: the ``TypedDict``, the keys.

    A ``TypedDict`` may also hold what travels elsewhere, so the keys of the literal count; ``None``
    where it is not one.
    """
    found: list[tuple[Any, set[str] | None]] = []
    for node in ast.walk(value) if value is not None else ():
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "maybe_transform":
            what, named = node.args[:2]
            keys = None
            if isinstance(what, ast.Dict):
                keys = {str(key.value) for key in what.keys if isinstance(key, ast.Constant)}
            both = [named.body, named.orelse] if isinstance(named, ast.IfExp) else [named]
            found += [(_named(module, item), keys) for item in both]
    return found


def _named(module: types.ModuleType, node: ast.expr) -> Any:
    if isinstance(node, ast.Attribute):
        return getattr(_named(module, node.value), node.attr)
    return getattr(module, typing.cast("ast.Name", node).id)


def _joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The places of both; a beta resource and its successor may differ."""
    made = dict(one)
    for key, value in other.items():
        known = made.get(key)
        if isinstance(value, dict) and isinstance(known, dict):
            made[key] = dict(sorted({**value, **known}.items()))
        elif isinstance(value, list) and isinstance(known, list):
            made[key] = sorted([*known, *(item for item in value if item not in known)])
        else:
            made.setdefault(key, value)
    return made


class _Schemas:
    """Python types as JSON Schema, each ``TypedDict`` once, so that recursion ends."""

    def __init__(self) -> None:
        self.made: dict[str, Schema] = {}

    def of(self, kind: Any) -> Schema:
        """The schema of any type the SDK uses; what it does not know may hold nothing."""
        if typing_extensions.is_typeddict(kind):
            return self._dict(kind)
        if kind in _PLAIN:
            return {"type": _PLAIN[kind]}
        origin, inner = typing.get_origin(kind), typing.get_args(kind)
        if origin in (typing.Annotated, typing_extensions.Required, typing_extensions.NotRequired):
            return self.of(inner[0])
        if origin is typing.Literal:
            return {"enum": list(inner)}
        if origin in (typing.Union, types.UnionType):
            made = [self.of(part) for part in inner]
            if any(part in (bytes, typing.IO[bytes]) for part in inner):
                told = [part for part in made if "$ref" in part]
                made = [{"type": "string", "format": "binary"}, *told]
            return {"anyOf": made}
        if origin is dict or (isinstance(origin, type) and "Mapping" in origin.__name__):
            return {"type": "object", "additionalProperties": self.of(inner[1])}
        if isinstance(origin, type) and origin is not tuple and inner:
            return {"type": "array", "items": self.of(inner[0])}
        return {}

    def only(self, kind: Any, keys: set[str] | None) -> Schema:
        """The schema of a body of which only ``keys`` are sent."""
        schema = self.of(kind)
        if keys is None:
            return schema
        if "anyOf" in schema:
            return {"anyOf": [self.only(part, keys) for part in typing.get_args(kind)]}
        if "$ref" not in schema:
            return schema
        whole = self.made[schema["$ref"].removeprefix("#/types/")]
        return whole | {
            "properties": {key: part for key, part in whole["properties"].items() if key in keys},
            "required": [key for key in whole["required"] if key in keys],
        }

    def keys(self, kind: Any) -> set[str]:
        """What the ``TypedDict``, or any of several, may hold."""
        if typing.get_origin(kind) in (typing.Union, types.UnionType):
            return {key for part in typing.get_args(kind) for key in self.keys(part)}
        return {_alias(key, hint) for key, hint in _hints(kind).items()}

    def _dict(self, kind: Any) -> Schema:
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name not in self.made:
            self.made[name] = {}
            hints = _hints(kind)
            self.made[name] |= {
                "type": "object",
                "properties": {_alias(key, hint): self.of(hint) for key, hint in hints.items()},
                "required": [
                    _alias(key, hint)
                    for key, hint in hints.items()
                    if key in kind.__required_keys__
                ],
            }
        return {"$ref": f"#/types/{name}"}


def _hints(kind: Any) -> dict[str, Any]:
    return typing_extensions.get_type_hints(kind, include_extras=True)


def _alias(key: str, hint: Any) -> str:
    """The name on the wire: ``Annotated[…, PropertyInfo(alias="from")]``."""
    while typing.get_origin(hint) in (typing_extensions.Required, typing_extensions.NotRequired):
        hint = typing.get_args(hint)[0]
    for note in getattr(hint, "__metadata__", ()):
        if getattr(note, "alias", None):
            return str(note.alias)
    return key
