"""Finds the files and other stored objects that a request's input names, at any depth."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from sidecar.core import strict_json
from sidecar.core.refusals import malformed
from sidecar.extract.multipart import Part
from sidecar.providers.json_paths import FoundValue, Input, Owned, PathNode, Role, Stored
from sidecar.providers.stored_inputs import StoredInputs

_JSON_TEXT = re.compile(rb"[ \t\r\n]*[\[{]")
_WORDS = re.compile(r"[^][]+")
_OTHERWISE = PathNode()


def in_json(
    inputs: StoredInputs, root: PathNode, body: dict[str, Any], raw: bytes
) -> Iterator[FoundValue]:
    """Find the ids of inputs in a body, outside the caller's data and the row's own references.

    A loop, not a recursion: the caller chooses how deep a body is nested.

    Args:
        inputs: The provider's table of keys.
        root: The operation's compiled table.
        body: The parsed body.
        raw: The bytes it was parsed from; without a key's text in them nothing is searched.
    """
    if not inputs.may_be_in(raw):
        return
    stack: list[tuple[PathNode, Any, str]] = [(root, body, "")]
    while stack:
        node, value, where = stack.pop()
        if isinstance(value, list):
            each = node.each or _OTHERWISE
            stack.extend(
                (each, item, f"{where}[]") for item in value if isinstance(item, dict | list)
            )
            continue
        for key, item in value.items():
            below = node.keys.get(key) or _OTHERWISE
            if item is None or below.role is Role.DATA or key in inputs.data or _read(below):
                continue
            place = f"{where}.{key}" if where else key
            kind = inputs.kind(key)
            for each_id in _ids(item) if kind is not None else ():
                yield FoundValue(Input(str(kind)), each_id, place)
            if isinstance(item, dict | list):
                stack.append((below, item, place))


def in_unread(inputs: StoredInputs, body: bytes) -> Iterator[FoundValue]:
    """Find the ids of inputs in a body that can name no model, and is not read otherwise.

    Raises:
        AdmissibilityError: ``malformed_request`` where a key's text is in a body that is no JSON.
    """
    if not inputs.may_be_in(body):
        return
    try:
        value = strict_json.loads_object(body, max_bytes=len(body))
    except strict_json.StrictJsonError as error:
        raise malformed(f"body, which may name stored objects: {error}") from error
    yield from in_json(inputs, _OTHERWISE, value, body)


def in_form(
    inputs: StoredInputs, parts: Iterable[Part], fields: Collection[str]
) -> Iterator[FoundValue]:
    """Find the ids of inputs in the fields of a form, such as ``input_reference[file_id]``.

    Args:
        inputs: The provider's table of keys.
        parts: The form.
        fields: Names of the fields that the row itself reads.

    Raises:
        MultipartError: The text of such a field is not UTF-8.
        AdmissibilityError: ``malformed_request`` for a field with JSON that could name an input.
    """
    for part in parts:
        if part.filename is not None or part.name in fields:
            continue
        kinds = [kind for word in _WORDS.findall(part.name) if (kind := inputs.kind(word))]
        if kinds:
            yield FoundValue(Input(kinds[-1]), part.text(), part.name)
        elif _JSON_TEXT.match(part.value) and inputs.may_be_in(bytes(part.value)):
            raise malformed(
                f"the field {part.name} is JSON that may name a stored object; send its id in a"
                " field of its own"
            )


def _read(node: PathNode) -> bool:
    """Return whether the row itself reads a reference there."""
    return isinstance(node.role, Stored | Owned) or (
        node.each is not None and isinstance(node.each.role, Stored | Owned)
    )


def _ids(value: object) -> Iterable[object]:
    """Return what must be ids; an object in their place, such as a new container, is searched."""
    items = value if isinstance(value, list) else [value]
    return [item for item in items if not isinstance(item, dict | list)]
