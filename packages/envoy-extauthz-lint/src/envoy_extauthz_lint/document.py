"""Parse YAML or JSON, as Envoy reads it, into a tree with line numbers.

Envoy gives both to protobuf's JSON parser. A plain YAML scalar becomes a boolean, a number or a
string by the rules of Envoy's YAML library (where ``yes`` and ``on`` are true). What two parsers
could read differently is rejected: a duplicate key, a second document, a custom tag, a merge key.
Aliases are shared, not copied; the size limit applies to the size after copying.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import yaml

MAX_BYTES = 64 << 20
"""Largest file that is read; a configuration dump of a large mesh has some tens of megabytes."""

MAX_YAML_BYTES = 4 << 20
"""Above this, JSON is read by a faster parser without line numbers, and YAML is rejected."""

MAX_NODES = 2_000_000
"""Maximum number of values after aliases are expanded; about 350 bytes of memory each."""

MAX_DEPTH = 100
"""Maximum depth of nesting: protobuf's own limit."""

Scalar = str | int | float | bool | None

_TRUE, _FALSE = ("y", "yes", "true", "on"), ("n", "no", "false", "off")
_TRUTH = {
    spelt: value
    for names, value in ((_TRUE, True), (_FALSE, False))
    for name in names
    for spelt in (name, name.capitalize(), name.upper())
}
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TEMPLATE = re.compile(r"\{%.*%\}|\{\{.*\}\}")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,18})")
_PLAIN_TAGS = frozenset(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("null", "bool", "int", "float", "str", "timestamp", "merge", "value")
)


class LintError(ValueError):
    """The file cannot be read as a configuration; the text is one line: where, and why."""


@dataclass(frozen=True, slots=True, eq=False)
class RawValue:
    """One value of the file.

    Attributes:
        value: A scalar, a mapping, or a list.
        line: Counted from 1; 0 where it is not known.
    """

    value: Scalar | dict[str, RawValue] | tuple[RawValue, ...]
    line: int


_Measured = tuple[RawValue, int, int]


def read(data: bytes) -> RawValue:
    """Parse a file.

    Raises:
        LintError: Too large, not UTF-8, neither YAML nor JSON, a duplicate key, too deep.
    """
    if len(data) > MAX_BYTES:
        raise LintError(f"{len(data)} bytes; at most {MAX_BYTES} are read")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise LintError("not UTF-8") from error
    json_like = text.lstrip()[:1] in {"{", "["}
    if len(data) > MAX_YAML_BYTES:
        if json_like:
            return _from_json(data)
        raise LintError(f"{len(data)} bytes; of YAML at most {MAX_YAML_BYTES} are read")
    try:
        return _Builder(text).document()
    except yaml.YAMLError as error:
        # JSON that is not YAML, such as a pair of surrogate escapes, is still JSON.
        if json_like:
            return _from_json(data)
        raise LintError(_problem(error) + _template(text)) from error
    except LintError as error:
        raise LintError(f"{error}{_template(text)}") from error


def _template(text: str) -> str:
    """Return a hint for a file that is an unrendered template; empty for others."""
    return "; a template must be rendered first" if _TEMPLATE.search(text) else ""


def _problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    where = "" if mark is None else f"line {mark.line + 1}: "
    return f"{where}not YAML: {' '.join(str(problem).split())}"


def _from_json(data: bytes) -> RawValue:
    """Parse JSON as strictly as YAML: no duplicate key, no NaN, no lone surrogate."""
    try:
        value = json.loads(data, object_pairs_hook=_unique, parse_constant=_constant)
        return _plain(value, 0, iter(range(MAX_NODES)))
    except RecursionError as error:
        raise LintError(f"nested deeper than {MAX_DEPTH}") from error
    except json.JSONDecodeError as error:
        raise LintError(f"line {error.lineno}: not JSON: {error.msg}") from error
    except LintError:
        raise
    except ValueError as error:  # a number of thousands of digits, half a character
        raise LintError("not JSON: a number that is too long, or an unpaired surrogate") from error


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise LintError(f"the key {twice!r} is given twice")
    return mapping


def _constant(name: str) -> object:
    raise LintError(f"{name} is not JSON")


def _plain(value: object, depth: int, left: Iterator[int]) -> RawValue:
    if depth > MAX_DEPTH:
        raise LintError(f"nested deeper than {MAX_DEPTH}")
    if next(left, None) is None:
        raise LintError(f"more than {MAX_NODES} values")
    if isinstance(value, dict):
        for key in value:
            key.encode()
        return RawValue({key: _plain(child, depth + 1, left) for key, child in value.items()}, 0)
    if isinstance(value, list):
        return RawValue(tuple(_plain(child, depth + 1, left) for child in value), 0)
    if isinstance(value, str):
        value.encode()
        return RawValue(value, 0)
    if value is None or isinstance(value, bool | int | float):
        return RawValue(value, 0)
    raise LintError(f"a value that JSON does not have: {type(value).__name__}")


class _Builder:
    """Builds the tree from the events of a YAML parser, each anchor once.

    Events, not PyYAML's composed nodes: its composer recurses in C, so that a file of brackets
    crashes the process. Here recursion ends at `MAX_DEPTH`.
    """

    def __init__(self, text: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.CSafeLoader)
        self._anchors: dict[str, _Measured | None] = {}

    def document(self) -> RawValue:
        """Build the only document of the file."""
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            raise LintError("the file is empty")
        found, _, _ = self._value(next(self._events), 0)
        next(self._events)  # the document's end
        more = next(self._events)
        if not isinstance(more, yaml.StreamEndEvent):
            raise LintError(f"line {_line(more)}: not YAML: but found another document")
        return found

    def _value(self, event: yaml.Event, depth: int) -> _Measured:
        """Build a value; return it with its size after alias expansion and its depth."""
        line = _line(event)
        if depth > MAX_DEPTH:
            raise LintError(f"line {line}: nested deeper than {MAX_DEPTH}")
        if isinstance(event, yaml.AliasEvent):
            found = self._aliased(event, line)
        else:
            found = self._anchored(cast("yaml.NodeEvent", event), line, depth)
        if found[1] > MAX_NODES or depth + found[2] > MAX_DEPTH:
            raise LintError(f"line {line}: too many values or levels once aliases are expanded")
        return found

    def _aliased(self, event: yaml.AliasEvent, line: int) -> _Measured:
        if event.anchor not in self._anchors:
            raise LintError(f"line {line}: not YAML: found undefined alias")
        found = self._anchors[event.anchor]
        if found is None:
            raise LintError(f"line {line}: an alias inside its own anchor")
        return found

    def _anchored(self, event: yaml.NodeEvent, line: int, depth: int) -> _Measured:
        anchor = event.anchor
        if anchor is None:
            return self._made(event, line, depth)
        if anchor in self._anchors:
            raise LintError(f"line {line}: the anchor {anchor!r} is given twice")
        self._anchors[anchor] = None
        found = self._anchors[anchor] = self._made(event, line, depth)
        return found

    def _made(self, event: yaml.NodeEvent, line: int, depth: int) -> _Measured:
        if isinstance(event, yaml.ScalarEvent):
            return RawValue(_scalar(event, line), line), 1, 0
        if isinstance(event, yaml.SequenceStartEvent):
            _tagged(event, "seq", line)
            children = []
            while not isinstance(child := next(self._events), yaml.SequenceEndEvent):
                children.append(self._value(child, depth + 1))
            return RawValue(tuple(raw for raw, _, _ in children), line), *_sizes(children)
        _tagged(event, "map", line)
        mapping: dict[str, _Measured] = {}
        while not isinstance(key := next(self._events), yaml.MappingEndEvent):
            name, at = self._key(key), _line(key)
            if name in mapping:
                raise LintError(f"line {at}: the key {name!r} is given twice")
            raw, size, deep = self._value(next(self._events), depth + 1)
            # The line of the key is the one that people look for.
            mapping[name] = RawValue(raw.value, at), size, deep
        return (
            RawValue({name: raw for name, (raw, _, _) in mapping.items()}, line),
            *_sizes(list(mapping.values())),
        )

    def _key(self, event: yaml.Event) -> str:
        line = _line(event)
        if not isinstance(event, yaml.ScalarEvent):
            raise LintError(f"line {line}: a key that is not a string")
        if event.value == "<<" and not event.style:
            raise LintError(f"line {line}: merge keys (<<) are not read; write the settings out")
        self._anchored(event, line, 0)  # it may be named again as a value
        return str(event.value)


def _line(event: yaml.Event) -> int:
    return 1 if event.start_mark is None else event.start_mark.line + 1


def _sizes(children: list[_Measured]) -> tuple[int, int]:
    size = 1 + sum(size for _, size, _ in children)
    return min(size, MAX_NODES + 1), 1 + max((deep for _, _, deep in children), default=0)


def _tagged(event: yaml.NodeEvent, kind: str, line: int) -> None:
    tag: str | None = getattr(event, "tag", None)
    if tag not in {None, f"tag:yaml.org,2002:{kind}"}:
        raise LintError(f"line {line}: the tag {tag!r} is not read")


def _scalar(event: yaml.ScalarEvent, line: int) -> Scalar:
    text = str(event.value)
    if event.tag is not None and event.tag not in _PLAIN_TAGS:
        raise LintError(f"line {line}: the tag {event.tag!r} is not read")
    if event.style:  # in quotes, or a block
        return text
    if text in _NULL:
        return None
    if text in _TRUTH:
        return _TRUTH[text]
    return int(text) if _INTEGER.fullmatch(text) else text
