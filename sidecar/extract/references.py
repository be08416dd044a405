"""Finds the objects stored upstream to which a request refers, by their ids.

An object that is run, or whose content goes into what is run, stands for the models it was made
with (``Stored``). One that is only read or changed names no model; its owner counts (``Owned``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sidecar.core import strict_json
from sidecar.core.call import OBJECT_ID, Reference
from sidecar.core.refusals import malformed
from sidecar.extract.tools import given, of_role
from sidecar.providers.json_paths import FoundValue, Input, Owned, Role, Stored

ITEM = "item"
MAX_REFERENCES = 16
MAX_ITEMS = 256
"""Items of earlier turns; an SDK sends each of a conversation by its id."""

MAX_OWNED = 512
_REFERENCE = "item_reference"


def built_on(found: Iterable[FoundValue]) -> tuple[Reference, ...]:
    """Return the objects whose models the request can reach, without duplicates.

    Raises:
        AdmissibilityError: ``malformed_request`` for no id, or more objects than are looked up.
    """
    references = _referring(found, Stored)
    items = sum(1 for each in references if each.kind == ITEM)
    if items > MAX_ITEMS or len(references) - items > MAX_REFERENCES:
        raise malformed(
            f"more than {MAX_REFERENCES} stored objects or {MAX_ITEMS} items are referred to"
        )
    return references


def owned(found: Iterable[FoundValue], role: type[Owned | Input] = Owned) -> tuple[Reference, ...]:
    """Return the objects that the request reads or changes, or takes as input, without duplicates.

    Raises:
        AdmissibilityError: ``malformed_request`` for no id, or more objects than are looked up.
    """
    references = _referring(found, role)
    if len(references) > MAX_OWNED:
        raise malformed(f"more than {MAX_OWNED} stored objects are referred to")
    return references


def item_references(found: Iterable[FoundValue]) -> Iterator[FoundValue]:
    """Yield the ids of input items that are given by reference, as ``Stored`` items.

    An item without ``type`` and ``role`` is a reference too.

    Raises:
        AdmissibilityError: ``malformed_request`` for an item that two parsers could read
            differently, or a reference without an id.
    """
    for entry in of_role(found, Role.ITEM):
        item = entry.value
        if not isinstance(item, dict):
            raise malformed(f"{entry.where} must be an object")
        try:
            strict_json.refuse_twins(item, ("type", "role", "id"))
        except strict_json.StrictJsonError as error:
            raise malformed(f"{entry.where}: {error}") from error
        kind = item.get("type")
        if kind == _REFERENCE or (kind is None and item.get("role") is None):
            if item.get("id") is None:
                raise malformed(f"{entry.where} by reference must have the item's id")
            yield FoundValue(Stored(ITEM), item["id"], f"{entry.where}.id")


def _referring(
    found: Iterable[FoundValue], role: type[Stored | Owned | Input]
) -> tuple[Reference, ...]:
    references = []
    for entry in found:
        if not isinstance(entry.role, role) or not given(entry):
            continue
        value = entry.value
        if isinstance(value, dict):
            if set(value) != {"id"}:
                raise malformed(f"{entry.where} must be an id, or an object with the key id alone")
            value = value["id"]
        if not isinstance(value, str) or not OBJECT_ID.fullmatch(value):
            raise malformed(f"{entry.where} must be an id of 1 to 256 letters, digits, _ or -")
        references.append(Reference(entry.role.kind, value))
    return tuple(dict.fromkeys(references))
