"""Places in a JSON body, written as text and read off a parsed value.

``tools[].svg.model`` is the key ``model`` of the object ``svg`` in each item of the list ``tools``.
A table of places is compiled into one tree, and the body is walked along it once: so every object
on the way to something we read is also checked for twins of the keys we read there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from sidecar.core import strict_json
from sidecar.core.reasons import AdmissibilityError, Reason


class Role(Enum):
    """What is found at a place."""

    MODEL = "a model id"
    STREAM = "whether to stream"
    MODALITY = "an output modality"
    TOOL = "a tool"
    TOOL_TYPE = "the type of a tool"
    FUNCTION = "a function in the older form of a tool"
    ITEM = "an item of the input"


@dataclass(frozen=True, slots=True)
class Found:
    """A value at a place; ``where`` is for messages."""

    role: Role
    value: Any
    where: str


@dataclass(slots=True)
class Node:
    """One step of the tree: named keys below, or each item of a list below, or what is here."""

    keys: dict[str, Node] = field(default_factory=dict)
    each: Node | None = None
    role: Role | None = None


def compile_places(places: Mapping[str, Role]) -> Node:
    """Turn a table of places into a tree."""
    root = Node()
    for text, role in places.items():
        node = root
        for name in text.replace("[]", ".[]").split("."):
            if name == "[]":
                node.each = node.each or Node()
                node = node.each
            else:
                node = node.keys.setdefault(name, Node())
        node.role = role
    return root


def find(root: Node, body: dict[str, Any], *, texts: frozenset[str]) -> Iterator[Found]:
    """Yield everything the tree names, in the order of the body.

    Args:
        root: A compiled table.
        body: The parsed body.
        texts: Places where a plain string may stand instead of the list.

    Raises:
        AdmissibilityError: ``ambiguous_model`` for a twin of a key on the way;
            ``malformed_request`` where a value on the way has another type.
    """
    yield from _walk(root, body, "", texts)


def _walk(node: Node, value: Any, where: str, texts: frozenset[str]) -> Iterator[Found]:  # noqa: ANN401
    if node.role is not None:
        yield Found(node.role, value, where)
    if value is None:
        return
    if node.keys:
        yield from _walk_keys(node, value, where, texts)
    if node.each is not None and not (isinstance(value, str) and where in texts):
        if not isinstance(value, list):
            raise AdmissibilityError(Reason.MALFORMED_REQUEST, f"{where} is not a list")
        for item in value:
            yield from _walk(node.each, item, f"{where}[]", texts)


def _walk_keys(node: Node, value: Any, where: str, texts: frozenset[str]) -> Iterator[Found]:  # noqa: ANN401
    if not isinstance(value, dict):
        raise AdmissibilityError(Reason.MALFORMED_REQUEST, f"{where} is not an object")
    try:
        strict_json.refuse_twins(value, node.keys)
    except strict_json.StrictJsonError as error:
        raise AdmissibilityError(Reason.AMBIGUOUS_MODEL, f"{where or 'body'}: {error}") from error
    for key, item in value.items():
        below = node.keys.get(key)
        if below is not None:
            yield from _walk(below, item, f"{where}.{key}" if where else key, texts)
