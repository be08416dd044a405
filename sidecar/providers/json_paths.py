"""Compiles tables of JSON paths, and finds their values in a parsed body.

``tools[].svg.model`` is the key ``model`` of the object ``svg`` in each item of the list ``tools``;
``grader.**`` is everything below ``grader``. A table is compiled into one tree, and the body is
walked along it once. Every object on a path is also checked for twins of the keys that are read
there, and a ``model`` at a path outside the table is refused instead of overlooked.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import Any

from sidecar.core import strict_json
from sidecar.core.refusals import ambiguous, malformed
from sidecar.providers.overrides import nested_model

MODEL_KEY = "model"
_BELOW = "**"
_HINT = re.compile(rb'"model', re.IGNORECASE)
_ESCAPE = b"\\u"
_HINT_LOWER, _DOT_MODEL, _SHORT = b'"model', f".{MODEL_KEY}", 1 << 16


class Role(Enum):
    """The meaning of the value at a path."""

    MODEL = "a model id"
    TUNED = "the id of a model to be tuned"
    MODELS_BELOW = "an object in which every key called model holds a model id"
    STREAM = "whether to stream"
    MODALITY = "an output modality"
    TOOL = "a tool"
    TOOL_TYPE = "the type of a tool"
    UNTYPED_TOOL = "a tool whose type may be absent; then it is a function"
    OFFERS_TOOL = "a value beside the tools that offers one of its own, whose type is the key"
    KEYED_TOOL = "a tool whose keys are its types, as in google.cloud.aiplatform.v1.Tool"
    FORMAT = "the output format, which may need a further model"
    JUDGE = "a judge, which must name the model that it runs"
    FUNCTION = "a function in the older form of a tool"
    ITEM = "an item of the input"
    SPECIFICATION = "the digest of an environment specification"
    DATA = "the caller's own data, in which the key model has no meaning"
    FOREIGN = "an object that no call created, so its models are unknown"
    BODY = "a body in the model's own format, whose keys count as those at the top"
    VERSION = "a version of the API"
    WORD = "a value that names no model"
    IGNORED = "a name that the upstream ignores, because the path names the deployment"

    __hash__ = (
        object.__hash__
    )  # members are compared by identity; ``Enum`` hashes the name each time


@dataclass(frozen=True, slots=True)
class Stored:
    """A reference to an object that is stored upstream, as its id or as ``{"id": …}``."""

    kind: str


@dataclass(frozen=True, slots=True)
class Owned:
    """A reference to an object stored upstream that is read or changed, not run.

    It can name no model, so nothing but its owner is asked about.
    """

    kind: str


@dataclass(frozen=True, slots=True)
class Input:
    """A reference to an object stored upstream that goes into what is run, such as a file.

    It brings no model; with registration on, its owner is asked about (``StoredInputs``).
    """

    kind: str


@dataclass(frozen=True, slots=True)
class AllowedValues:
    """A path with a list of allowed values; any other would run models that the request omits.

    It lists what is allowed, so that a value which the provider adds later is refused.

    Attributes:
        values: Strings or booleans; JSON ``null`` counts as absent.
        why: What any other value would do.
        role: Meaning of an allowed value.
    """

    values: frozenset[str | bool]
    why: str
    role: Role = Role.WORD

    def allows(self, value: Any) -> bool:  # noqa: ANN401 - JSON is any value
        """Return whether a value is allowed; ``0`` is not ``false``."""
        return value is None or (isinstance(value, str | bool) and value in self.values)


Meaning = Role | Stored | Owned | Input | AllowedValues


@dataclass(frozen=True, slots=True)
class FoundValue:
    """A value found at a path; ``where`` is the path, for messages."""

    role: Meaning
    value: Any
    where: str


@dataclass(slots=True)
class PathNode:
    """One step of the tree: keys below, each item of a list below, and the role of the value."""

    keys: dict[str, PathNode] = field(default_factory=dict)
    each: PathNode | None = None
    role: Meaning | None = None
    below: bool = False
    twins: dict[str, str] = field(default_factory=dict)
    """Folded form of each key below → the key; see ``strict_json.refuse_twins``."""

    known: dict[tuple[str, ...], Below] = field(default_factory=dict, compare=False, repr=False)
    """Keys of objects that were checked for twins → those of them that are read."""


Below = tuple[tuple[str, PathNode], ...]
Overrides = Callable[[str], bool]

MAX_KNOWN = 64
"""Most sets of keys that a node remembers; the longest has ``MAX_KNOWN_CHARS``."""

MAX_KNOWN_CHARS = 256

_UNKNOWN = PathNode()
_ANY_MODEL = PathNode(below=True)


def compile_paths(places: Mapping[str, Meaning]) -> PathNode:
    """Compile a table of paths into a tree; the same one for the same table.

    Several operations read the same places, and every process compiles those of all providers.
    """
    return _compiled(tuple(places.items()))


@lru_cache(maxsize=1024)
def _compiled(places: tuple[tuple[str, Meaning], ...]) -> PathNode:
    root = PathNode()
    for text, role in places:
        node = root
        for name in text.replace("[]", ".[]").split("."):
            if name == "[]":
                node.each = node.each or PathNode()
                node = node.each
            elif name == _BELOW:
                node.below = True
            else:
                node = node.keys.setdefault(name, PathNode())
        if role is not Role.MODELS_BELOW:
            node.role = role
    _fold_keys(root)
    return root


def _fold_keys(node: PathNode) -> None:
    node.twins = strict_json.folded(node.keys)
    for below in node.keys.values():
        _fold_keys(below)
    if node.each is not None:
        _fold_keys(node.each)


def find(
    root: PathNode,
    body: dict[str, Any],
    raw: bytes,
    *,
    texts: frozenset[str],
    overrides: Overrides | None = None,
) -> list[FoundValue]:
    """Find everything the tree names, in the order of the body.

    Args:
        root: A compiled table.
        body: The parsed body.
        raw: The bytes it was parsed from; what no key ``model`` is in need not be searched.
        texts: Paths where a string may replace the list or the object.
        overrides: Whether a key outside the tree is refused, at any depth, beside those that
            begin with the word model.

    Raises:
        AdmissibilityError: ``ambiguous_model`` for a twin of a key on the way, or a key ``model``,
            ``models``, ``model_…``, or another that ``overrides`` refuses, at a place that the
            table does not have;
            ``malformed_request`` where a value on the way has another type.
    """
    known: list[FoundValue] = []
    _walk(root, body, "", texts, known)
    if overrides is not None or _may_hold_more(raw, known):
        known.extend(_search(root, body, overrides))
    return known


def _may_hold_more(raw: bytes, known: list[FoundValue]) -> bool:
    """Return whether a key ``model``, in any spelling, may be where ``_walk`` did not read."""
    if _ESCAPE in raw or not raw.isascii():
        return True
    read = 0
    for found in known:
        if found.where == MODEL_KEY or found.where.endswith(_DOT_MODEL):
            read += 1
    if len(raw) <= _SHORT:
        return raw.lower().count(_HINT_LOWER) > read
    return sum(1 for _ in itertools.islice(_HINT.finditer(raw), read + 1)) > read


def _walk(
    node: PathNode,
    value: Any,  # noqa: ANN401 - JSON is any value
    where: str,
    texts: frozenset[str],
    found: list[FoundValue],
) -> None:
    """Add what the tree names of a value to ``found``."""
    if node.role is not None:
        found.append(FoundValue(node.role, value, where))
    if value is None:
        return
    if isinstance(value, str) and where in texts:
        return
    if node.keys:
        _walk_keys(node, value, where, texts, found)
    if node.each is not None:
        if not isinstance(value, list):
            raise malformed(f"{where} must be a list")
        each, place = node.each, f"{where}[]"
        for item in value:
            _walk(each, item, place, texts, found)


def _walk_keys(
    node: PathNode,
    value: Any,  # noqa: ANN401 - JSON is any value
    where: str,
    texts: frozenset[str],
    found: list[FoundValue],
) -> None:
    if not isinstance(value, dict):
        raise malformed(f"{where} must be an object")
    keys = tuple(value)
    below = node.known.get(keys)
    if below is None:
        below = _below(node, keys, where)
    for key, under in below:
        _walk(under, value[key], f"{where}.{key}" if where else key, texts, found)


def _below(node: PathNode, keys: tuple[str, ...], where: str) -> Below:
    """Return those of an object's keys that the tree has, if none is a twin of one of the tree's.

    The answer is remembered: an application sends objects with the same keys again and again.
    """
    try:
        strict_json.refuse_twins_of(keys, node.twins)
    except strict_json.StrictJsonError as error:
        raise ambiguous(f"{where or 'body'}: {error}") from error
    below = tuple((key, node.keys[key]) for key in keys if key in node.keys)
    if sum(map(len, keys)) + len(keys) <= MAX_KNOWN_CHARS:
        if len(node.known) >= MAX_KNOWN:
            node.known.clear()
        node.known[keys] = below
    return below


def _search(root: PathNode, body: Any, overrides: Overrides | None) -> Iterator[FoundValue]:  # noqa: ANN401
    """Find every key ``model`` outside the paths that ``_walk`` has read, and refuse its like.

    Below ``**`` keys are names of the caller's, so only ``model`` is looked for there. A loop, not
    a recursion: the caller chooses how deep a body is nested.
    """
    stack = [(root, body, "")]
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
                    continue
                if not node.below and key not in node.keys and _overriding(key, overrides):
                    _refuse_override(item, place)
                if isinstance(item, dict | list):
                    stack.append((under, item, place))


def _overriding(key: str, overrides: Overrides | None) -> bool:
    return nested_model(key) or (overrides is not None and overrides(key))


def _unread(node: PathNode, key: str, value: Any, where: str) -> Iterator[FoundValue]:  # noqa: ANN401
    if value is None:
        return
    if not node.below or key != MODEL_KEY:
        raise ambiguous(f"{where[:200]}: a model at a path where this operation reads none")
    yield FoundValue(Role.MODEL, value, where)


def _refuse_override(value: Any, where: str) -> None:  # noqa: ANN401
    if value is not None:
        raise ambiguous(
            f"{where[:200]}: a key that could run a model which this operation does not read;"
            " leave it out"
        )
