"""Walk a JSON Schema and say where model ids, stored objects and streaming stand in a body.

The three published sources (an OpenAPI document, an SDK's types, AWS's service models) are first
written as JSON Schema; this walk is the one judge of all of them. Places are in the project's own
grammar (``tools[].svg.model``), with ``*`` for a key that the client chooses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Schema = dict[str, Any]
Wrap = Callable[[Any], Any]

FILE = "@file"
"""Stands in a body for the content of a file."""

OTHER_MODEL_NAMES = frozenset(
    {"copyFrom", "deployment", "deployment_id", "deployment_name", "engine", "deployment-id"}
)
"""Names for a model that do not have the word in them."""

_NOT_A_MODEL = frozenset({"kms", "key"})
_ENDS_A_MODEL = frozenset({"model", "models", "id", "ids", "identifier", "arn"})
_ONE_OF = ("oneOf", "anyOf")
_ENDS_AN_ID = frozenset({"id", "identifier", "arn"})
_HOLDERS = {
    **{
        name: name
        for name in (
            "agent",
            "assistant",
            "automation",
            "conversation",
            "eval",
            "flow",
            "job",
            "prompt",
            "response",
            "session",
            "thread",
            "video",
            "workflow",
        )
    },
    "alias": "agent",
}
"""Words of stored objects that can hold a model, and what we call their kind."""

_OWN_REFERENCES = {"input_file_id": "file", "conversation": "conversation"}
"""Names that are references without the form ``…_id``, or to a kind that seldom holds a model."""


def words(name: str) -> list[str]:
    """``baseModelIdentifier`` and ``base_model_identifier`` are three words each."""
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)]


def names_model(name: str) -> bool:
    """Whether a property, parameter or field of this name holds a model id."""
    parts = words(name)
    if name in OTHER_MODEL_NAMES:
        return True
    in_words = {"model", "models"} & set(parts)
    return bool(in_words and parts[-1] in _ENDS_A_MODEL and not _NOT_A_MODEL & set(parts))


def reference_kind(name: str, parent: str = "") -> str | None:
    """The kind of stored object that ``name`` (below ``parent``) refers to, if it may hold a model.

    ``{"prompt": {"id": …}}`` is a reference as much as ``prompt_id``.
    """
    if name in _OWN_REFERENCES:
        return _OWN_REFERENCES[name]
    parts = words(name)
    if parts == ["id"] and parent:
        return _HOLDERS.get(words(parent)[-1])
    if len(parts) > 1 and parts[-1] in _ENDS_AN_ID:
        return _HOLDERS.get(parts[-2])
    return None


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """One place.

    Attributes:
        role: ``model``, ``reference`` or ``stream``.
        place: In the grammar of places.
        kind: Of a reference.
        body: The smallest body in which the place stands.
    """

    role: str
    place: str
    kind: str = ""
    body: Any = field(default=None, compare=False)


class Walker:
    """The walk over one document's schemas.

    Args:
        document: Holds what ``$ref`` points to.
    """

    def __init__(self, document: Schema) -> None:
        self._document = document
        self._minimal: dict[int, Any] = {}

    def find(self, schema: Schema) -> list[Found]:
        """Every place below ``schema``, each once, with its smallest body; sorted."""
        best: dict[Found, Any] = {}
        for found in self._walk(schema, "", "", (), lambda value: value):
            known = best.get(found)
            if known is None or _size(found.body) < _size(known):
                best[found] = found.body
        return [Found(found.role, found.place, found.kind, best[found]) for found in sorted(best)]

    def minimal(self, schema: Schema, depth: int = 0) -> Any:
        """The smallest value that the schema lets through, as far as shapes go."""
        key = id(schema)
        if key not in self._minimal:
            value = self._made(self.resolve(schema), depth)
            if depth:
                return value
            self._minimal[key] = value
        return self._minimal[key]

    def resolve(self, schema: Schema) -> Schema:
        """Follow ``$ref``."""
        while "$ref" in schema:
            target: Any = self._document
            for part in schema["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            schema = target
        return schema

    def is_text(self, schema: Schema, depth: int = 0) -> bool:
        """Whether a plain string may stand here."""
        schema = self.resolve(schema)
        kind = schema.get("type")
        if kind == "string" or (isinstance(kind, list) and "string" in kind):
            return schema.get("format") != "binary"
        if isinstance(schema.get("const"), str) or isinstance((schema.get("enum") or [0])[0], str):
            return True
        branches = [part for word in ("anyOf", "oneOf", "allOf") for part in schema.get(word, ())]
        return depth < 8 and any(self.is_text(part, depth + 1) for part in branches)

    # ---- places ----------------------------------------------------------------------------------

    def _walk(
        self, schema: Schema, place: str, name: str, refs: tuple[str, ...], wrap: Wrap
    ) -> Iterator[Found]:
        ref = schema.get("$ref")
        if ref is not None:
            if ref in refs:
                return
            refs = (*refs, ref)
            schema = self.resolve(schema)
        for word in ("allOf", "anyOf", "oneOf"):
            for part in schema.get(word, ()):
                around = self._around(schema, word)
                yield from self._walk(part, place, name, refs, _then(wrap, around))
        for key, below in (schema.get("properties") or {}).items():
            yield from self._property(schema, key, below, place, name, refs, wrap)
        items = schema.get("items")
        if isinstance(items, dict):
            yield from self._walk(items, f"{place}[]", name, refs, lambda value: wrap([value]))
        rest = schema.get("additionalProperties")
        if isinstance(rest, dict) and place:
            yield from self._walk(rest, f"{place}.*", "*", refs, lambda value: wrap({"x": value}))

    def _property(
        self,
        schema: Schema,
        key: str,
        below: Schema,
        place: str,
        name: str,
        refs: tuple[str, ...],
        wrap: Wrap,
    ) -> Iterator[Found]:
        at = f"{place}.{key}" if place else key

        def within(value: Any) -> Any:
            return wrap(_merge(self._object(schema, 1), {key: value}))

        resolved = self.resolve(below)
        if names_model(key):
            if self.is_text(below):
                yield Found("model", at, body=within("x"))
            if isinstance(resolved.get("items"), dict) and self.is_text(resolved["items"]):
                yield Found("model", f"{at}[]", body=within(["x"]))
        kind = reference_kind(key, name)
        if kind is not None and self.is_text(below):
            yield Found("reference", at, kind, within("x"))
        if key == "stream":
            yield Found("stream", at, body=within(True))
        yield from self._walk(below, at, key, refs, within)

    def _around(self, schema: Schema, word: str) -> Wrap:
        """What stands beside one branch: what is required anyway, and all of an ``allOf``."""
        beside = self._object(schema, 1)
        if word == "allOf":
            for part in schema["allOf"]:
                value = self.minimal(part, 1)
                if isinstance(value, dict):
                    beside = _merge(beside, value)
        return lambda value: _merge(beside, value) if isinstance(value, dict) else value

    # ---- values ----------------------------------------------------------------------------------

    def _made(self, schema: Schema, depth: int) -> Any:
        if depth > 24:
            return {}
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return next((value for value in schema["enum"] if value is not None), None)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next((name for name in kind if name != "null"), "null")
        parts = [self.minimal(part, depth + 1) for part in schema.get("allOf", ())]
        parts += [self._branch(schema[word], depth) for word in _ONE_OF if schema.get(word)]
        if kind == "object" or "properties" in schema:
            parts.insert(0, self._object(schema, depth + 1))
        if not parts:
            return self._plain(kind, schema, depth)
        made = parts[0]
        for part in parts[1:]:
            both = isinstance(made, dict) and isinstance(part, dict)
            made = _merge(made, part) if both else made
        return made

    def _branch(self, branches: list[Schema], depth: int) -> Any:
        real = [part for part in branches if self.resolve(part).get("type") != "null"]
        return self.minimal((real or branches)[0], depth + 1)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        made = {}
        required = schema.get("required") or ()
        for key, below in (schema.get("properties") or {}).items():
            resolved = self.resolve(below)
            telling = key == "type" and ("const" in resolved or len(resolved.get("enum", "")) == 1)
            if key in required or telling:
                made[key] = self.minimal(below, depth + 1)
        return made

    def _plain(self, kind: Any, schema: Schema, depth: int) -> Any:
        if kind == "array":
            items = schema.get("items")
            few = schema.get("minItems", 0)
            return [self.minimal(items, depth + 1)] if few and isinstance(items, dict) else []
        if kind == "string":
            return FILE if schema.get("format") == "binary" else "x"
        known = {"integer": 1, "number": 1, "boolean": False, "null": None}
        return known.get(kind, {})


def _then(outer: Wrap, inner: Wrap) -> Wrap:
    return lambda value: outer(inner(value))


def _merge(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both; ``other`` wins, except that objects are joined."""
    made = dict(one)
    for key, value in other.items():
        known = made.get(key)
        both = isinstance(known, dict) and isinstance(value, dict)
        made[key] = _merge(known, value) if both else value  # type: ignore[arg-type]
    return made


def _size(value: Any) -> tuple[int, str]:
    text = json.dumps(value, sort_keys=True)
    return len(text), text
