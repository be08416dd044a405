"""Finds the types of offered tools, and refuses a tool that runs a model without naming it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sidecar.core.reasons import AdmissibilityError
from sidecar.core.refusals import ambiguous, malformed
from sidecar.providers.json_paths import FoundValue, Role

PICTURES, SVG = "image_generation", "svg"
AUTHOR = frozenset({"svg.model", "svg[model]"})
_JUDGES = ("autoraterModel", "autorater_model")
_WORD = re.compile(r"[A-Za-z0-9._:-]{1,64}")
MAX_WORDS = 64
"""Most different types of tools, or modalities, of one call: policies are shown each of them, and
a decision that is kept holds them. APIs have some twenty."""
_FUNCTION_KEYS = frozenset({"functionDeclarations", "function_declarations"})


def tool_types(found: tuple[FoundValue, ...]) -> tuple[str, ...]:
    """Return the types of all tools; one without a type, where allowed, is a function."""
    for entry in of_role(found, Role.TOOL):
        if not isinstance(entry.value, dict) or "type" not in entry.value:
            raise malformed(f"{entry.where} must be an object with the key type")
        _check_tool(entry)
    types = words(of_role(found, Role.TOOL_TYPE))
    if of_role(found, Role.FUNCTION):
        types.add("function")
    offering = filter(given, of_role(found, Role.OFFERS_TOOL))
    types.update(entry.where.rpartition(".")[2] for entry in offering)
    for entry in of_role(found, Role.UNTYPED_TOOL):
        if not isinstance(entry.value, dict):
            raise malformed(f"{entry.where} must be an object")
        if "type" not in entry.value:
            types.add("function")
        _check_tool(entry)
    for entry in of_role(found, Role.KEYED_TOOL):
        if not isinstance(entry.value, dict) or not entry.value:
            raise malformed(f"{entry.where} must be an object with the tool's type as its key")
        keys = ("function" if key in _FUNCTION_KEYS else key for key in entry.value)
        types |= words(FoundValue(Role.TOOL_TYPE, key, entry.where) for key in keys)
    _check_few(types, "types of tools")
    return tuple(sorted(types))


def modalities(found: tuple[FoundValue, ...]) -> tuple[str, ...]:
    """Return the output modalities that are asked for, in lower case."""
    return tuple(sorted({each.lower() for each in words(of_role(found, Role.MODALITY))}))


def words(entries: Iterable[FoundValue]) -> set[str]:
    """Return the different words of some entries; see ``word``.

    Raises:
        AdmissibilityError: ``malformed_request`` for another value, or too many words.
    """
    different: set[str] = set()
    for entry in entries:
        different.add(word(entry))
        _check_few(different, entry.where)
    return different


def _check_few(different: set[str], what: str) -> None:
    if len(different) > MAX_WORDS:
        raise malformed(f"more than {MAX_WORDS} different values of {what}")


def _check_tool(entry: FoundValue) -> None:
    """Require that a tool which runs a model names it; the provider would choose one."""
    tool = entry.value
    if tool.get("type") == PICTURES and tool.get("model") is None:
        raise _unnamed(f"{entry.where} of the type {PICTURES} without model")
    if tool.get("output_format") == SVG and _below(tool, "svg", "model") is None:
        raise _unnamed(f"{entry.where} with output_format {SVG} without svg.model")


def check_judges(found: Iterable[FoundValue]) -> None:
    """Refuse a judge that does not name its model; the provider would choose one."""
    for entry in of_role(found, Role.JUDGE):
        if given(entry) and not _names_judge(entry.value):
            raise _unnamed(f"{entry.where} without {_JUDGES[0]}")


def _names_judge(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    return any(
        below is not None if key in _JUDGES else _names_judge(below) for key, below in value.items()
    )


def check_formats(found: Iterable[FoundValue]) -> None:
    """Require that a request for SVG names the further model which writes it."""
    formats = [entry for entry in of_role(found, Role.FORMAT) if entry.value == SVG]
    if formats and not any(entry.where in AUTHOR and given(entry) for entry in found):
        raise _unnamed(f"{formats[0].where} {SVG} without svg.model")


def _below(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _unnamed(what: str) -> AdmissibilityError:
    return ambiguous(f"{what}: the provider would choose that model; name it")


def word(entry: FoundValue) -> str:
    """Return a string that names no model, such as the type of a tool."""
    if not isinstance(entry.value, str) or not _WORD.fullmatch(entry.value):
        raise malformed(f"{entry.where} must be 1 to 64 letters, digits or . _ : -")
    return entry.value


def given(entry: FoundValue) -> bool:
    """Return whether a value is given; JSON's ``null`` counts as absent."""
    return entry.value is not None


def of_role(found: Iterable[FoundValue], role: Role) -> list[FoundValue]:
    """Return the values of one role."""
    return [entry for entry in found if entry.role is role]
