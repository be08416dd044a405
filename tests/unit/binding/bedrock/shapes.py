"""Compares JSON with a shape of botocore's service model, more strictly than boto3 does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import botocore.session
from botocore.model import Shape

_TYPES = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": bool,
    "map": dict,
}


def faults(operation: str, value: Any, *, request: bool = False) -> list[str]:
    """Return where ``value`` is not the operation's answer, or its request's body."""
    model = botocore.session.get_session().get_service_model("bedrock")
    found = model.operation_model(operation)
    shape = found.input_shape if request else found.output_shape
    return list(_faults(shape, value, operation))


def _faults(shape: Shape, value: Any, place: str) -> Iterator[str]:
    kind = shape.type_name
    if kind == "structure":
        yield from _structure(shape, value, place)
    elif kind == "list":
        for number, each in enumerate(value):
            yield from _faults(shape.member, each, f"{place}.{number}")
    elif kind == "string":
        yield from _string(shape, value, place)
    elif kind == "timestamp":
        datetime.fromisoformat(value)
    elif type(value) is not _TYPES[kind] and not (kind == "float" and type(value) is int):
        yield f"{place}: {value!r} is no {kind}"


def _structure(shape: Any, value: Any, place: str) -> Iterator[str]:
    lacking = [name for name in shape.required_members if name not in value]
    unknown = [name for name in value if name not in shape.members]
    if lacking or unknown:
        yield f"{place}: lacks {lacking}, has {unknown}"
    if shape.is_tagged_union and len(value) != 1:
        yield f"{place}: a union with {sorted(value)}"
    for name, each in value.items():
        if name in shape.members:
            yield from _faults(shape.members[name], each, f"{place}.{name}")


def _string(shape: Any, value: Any, place: str) -> Iterator[str]:
    limits = shape.metadata
    if not isinstance(value, str):
        yield f"{place}: {value!r} is no string"
    elif shape.enum and value not in shape.enum:
        yield f"{place}: {value!r} is none of {shape.enum}"
    elif "pattern" in limits and re.fullmatch(limits["pattern"], value) is None:
        yield f"{place}: {value!r} does not match"
    elif len(value) > limits.get("max", len(value)):
        yield f"{place}: {value!r} is too long"
