"""Writes what is wrong with a configuration file as one line: where, what was found, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sidecar.core.wire import fault_message

_LISTED = 12
"""How many known keys a message lists."""
_NEAR = 0.75
"""The least similarity (``difflib``) by which an unknown key is a misspelling of a known one."""


def yaml_fault(error: yaml.YAMLError) -> str:
    """Return the line and the problem of text that is not YAML."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    if mark is None:
        return "is not YAML"
    return f"line {mark.line + 1}: {problem or 'is not YAML'}"


def reported(error: ValidationError) -> ErrorDetails:
    """Return the fault to report: an unknown key first, which may be why another one is missing."""
    faults = error.errors(include_url=False)
    return next((one for one in faults if one["type"] == "extra_forbidden"), faults[0])


def fault(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the fault to report as ``place: problem``, without a place if it is the whole file."""
    detail = reported(error)
    if detail["type"] == "extra_forbidden":
        message = unknown_key(detail, model)
    else:
        message = fault_message(detail).removeprefix("Value error, ")
    return ": ".join(filter(None, (place_of(detail), message)))


def place_of(detail: ErrorDetails) -> str:
    """Return where a fault is, as ``authorities.0.grants``; empty for the whole file."""
    return ".".join(str(part) for part in detail["loc"])


def unknown_key(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """Return that a key is unknown, with the nearest known one or those that there are."""
    *above, name = detail["loc"]
    known = sorted(_keys(model, above))
    near = difflib.get_close_matches(str(name), known, 1, _NEAR)
    if near:
        return f"is not a known key; did you mean {near[0]!r}?"
    more = f", and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"is not a known key; known here: {', '.join(known[:_LISTED])}{more}"


def _keys(model: type[BaseModel], above: list[int | str]) -> set[str]:
    """Return the keys of the models at a place; steps that are no field are list or map entries."""
    models = [model]
    for part in above:
        at_field = [
            found
            for each in models
            if part in each.model_fields
            for found in _models(each.model_fields[str(part)].annotation)
        ]
        models = at_field or models
    return {field.alias or name for each in models for name, field in each.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - any annotation
    """Yield the models in an annotation, such as ``list[Entry] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
