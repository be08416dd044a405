"""Places in a body, written as text and read off a parsed value.

``tools[].svg.model`` is the key ``model`` of the object ``svg`` in each item of the list ``tools``;
``grader.**`` is everything below ``grader``. A table of places is compiled into one tree, and the
body is walked along it once: so every object on the way to something we read is also checked for
twins of the keys we read there, and a ``model`` at a place that the table does not have is refused
instead of overlooked.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from sidecar.core import strict_json
from sidecar.core.refusals import ambiguous, malformed

MODEL_KEY = "model"
_BELOW = "**"
_HINT = re.compile(rb'"model', re.IGNORECASE)
_ESCAPE = b"\\u"


class Role(Enum):
    """What is found at a place."""

    MODEL = "a model id"
    TUNED = "the id of a model to be tuned"
    MODELS_BELOW = "an object in which every key called model holds a model id"
    STREAM = "whether to stream"
    MODALITY = "an output modality"
    TOOL = "a tool"
    TOOL_TYPE = "the type of a tool"
    UNTYPED_TOOL = "a tool whose type may go without saying: then it is a function"
    KEYED_TOOL = "a tool whose keys are its types, as in google.cloud.aiplatform.v1.Tool"
    FORMAT = "the format of what is made, which may take a further model to write"
    FUNCTION = "a function in the older form of a tool"
    ITEM = "an item of the input"
    SPECIFICATION = "the digest of an environment specification"
    DATA = "the caller's own data, in which model is a word like any other"
    FOREIGN = "an object that was not created by a call, so that nobody knows its models"
    VERSION = "a version of the API"
    WORD = "a plain word that names no model"


@dataclass(frozen=True, slots=True)
class Stored:
    """At this place stands an object that is stored upstream, by its id or as ``{"id": …}``."""

    kind: str


@dataclass(frozen=True, slots=True)
class Only:
    """At this place only some values may stand: any other has models run that nobody named.

    A list of what is let through, and not of what is refused: what a provider adds later is
    refused until somebody has looked at it.

    Attributes:
        values: Words or switches; ``null`` is as good as nothing.
        why: What any other value does.
        role: What the value is read as.
    """

    values: frozenset[str | bool]
    why: str
    role: Role = Role.WORD

    def allows(self, value: Any) -> bool:  # noqa: ANN401 - JSON is any value
        """Whether it is one of them; ``0`` is not ``false``."""
        return value is None or (isinstance(value, str | bool) and value in self.values)


What = Role | Stored | Only


@dataclass(frozen=True, slots=True)
class Found:
    """A value at a place; ``where`` is for messages."""

    role: What
    value: Any
    where: str


@dataclass(slots=True)
class Node:
    """One step of the tree: named keys below, or each item of a list below, or what is here."""

    keys: dict[str, Node] = field(default_factory=dict)
    each: Node | None = None
    role: What | None = None
    below: bool = False


_UNKNOWN = Node()
_ANY_MODEL = Node(below=True)


def compile_places(places: Mapping[str, What]) -> Node:
    """Turn a table of places into a tree."""
    root = Node()
    for text, role in places.items():
        node = root
        for name in text.replace("[]", ".[]").split("."):
            if name == "[]":
                node.each = node.each or Node()
                node = node.each
            elif name == _BELOW:
                node.below = True
            else:
                node = node.keys.setdefault(name, Node())
        if role is not Role.MODELS_BELOW:
            node.role = role
    return root


def find(root: Node, body: dict[str, Any], raw: bytes, *, texts: frozenset[str]) -> list[Found]:
    """Find everything the tree names, in the order of the body.

    Args:
        root: A compiled table.
        body: The parsed body.
        raw: The bytes it was parsed from; what no key ``model`` is in need not be searched.
        texts: Places where a plain string may stand instead of the list.

    Raises:
        AdmissibilityError: ``ambiguous_model`` for a twin of a key on the way, or a key ``model``
            at a place that the table does not have; ``malformed_request`` where a value on the
            way has another type.
    """
    known = list(_walk(root, body, "", texts))
    if _may_hold_more(raw, known):
        known.extend(_search(root, body, ""))
    return known


def _may_hold_more(raw: bytes, known: list[Found]) -> bool:
    """Whether a key ``model``, however it is written, may stand where ``_walk`` has not read."""
    if _ESCAPE in raw or not raw.isascii():
        return True
    read = sum(1 for found in known if found.where.rpartition(".")[2] == MODEL_KEY)
    return sum(1 for _ in itertools.islice(_HINT.finditer(raw), read + 1)) > read


def _walk(node: Node, value: Any, where: str, texts: frozenset[str]) -> Iterator[Found]:  # noqa: ANN401
    if node.role is not None:
        yield Found(node.role, value, where)
    if value is None:
        return
    if node.keys:
        yield from _walk_keys(node, value, where, texts)
    if node.each is not None and not (isinstance(value, str) and where in texts):
        if not isinstance(value, list):
            raise malformed(f"{where} is not a list")
        for item in value:
            yield from _walk(node.each, item, f"{where}[]", texts)


def _walk_keys(node: Node, value: Any, where: str, texts: frozenset[str]) -> Iterator[Found]:  # noqa: ANN401
    if not isinstance(value, dict):
        raise malformed(f"{where} is not an object")
    try:
        strict_json.refuse_twins(value, node.keys)
    except strict_json.StrictJsonError as error:
        raise ambiguous(f"{where or 'body'}: {error}") from error
    for key, item in value.items():
        below = node.keys.get(key)
        if below is not None:
            yield from _walk(below, item, f"{where}.{key}" if where else key, texts)


def _search(root: Node, body: Any, start: str) -> Iterator[Found]:  # noqa: ANN401
    """Look at every key ``model`` outside the places that ``_walk`` has read.

    A loop and no recursion: how deep a body is nested is the caller's choice.
    """
    stack = [(root, body, start)]
    while stack:
        node, value, where = stack.pop()
        if node.role is Role.DATA:
            continue
        if isinstance(value, list):
            under = node.each or (_ANY_MODEL if node.below else _UNKNOWN)
            below = (item for item in value if isinstance(item, dict | list))
            stack.extend((under, item, f"{where}[]") for item in below)
        elif isinstance(value, dict):
            for key, item in value.items():
                under = node.keys.get(key) or (_ANY_MODEL if node.below else _UNKNOWN)
                place = f"{where}.{key}" if where else key
                if key not in node.keys and strict_json.fold(key) == MODEL_KEY:
                    yield from _unread(node, key, item, place)
                elif isinstance(item, dict | list):
                    stack.append((under, item, place))


def _unread(node: Node, key: str, value: Any, where: str) -> Iterator[Found]:  # noqa: ANN401
    if value is None:
        return
    if not node.below or key != MODEL_KEY:
        raise ambiguous(f"{where[:200]}: a model at a place where none is known")
    yield Found(Role.MODEL, value, where)
