"""Reads the graders of a reinforcement job from its JSON: digests, and judge models. Pure.

The SDK's types are of no use here: they parse a multi-grader as a string check, and drop what they
do not know. Each grader is digested as RFC 8785 canonical JSON, so a grader that is found harmful
can be withdrawn; the model of a judge is part of the lineage. ``multi.graders`` is documented as an
object, and seen as an array and as a map of names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import rfc8785

from sidecar.binding.errors import BindingError
from sidecar.core import wire
from sidecar.core.predicates import Grader
from sidecar.core.wire import DigestSet

MAX_GRADERS = 64
MAX_DEPTH = 8
_MAX_NAME = 512


@dataclass(frozen=True, slots=True)
class Graders:
    """Every grader of a run, outer before inner, and the models that judge."""

    graders: tuple[Grader, ...]
    judges: tuple[str, ...]


def read_graders(value: object, job: str) -> Graders:
    """Read a grader and those inside it.

    Args:
        value: ``method.reinforcement.grader`` of the job's record.
        job: The job's id, for errors.

    Raises:
        BindingError: Not a grader, or one nested too deeply.
    """
    found = tuple(_walk(value, "grader", job, 1))
    if len(found) > MAX_GRADERS:
        raise BindingError(f"job {job}: has {len(found)} graders, at most {MAX_GRADERS} are read")
    judges = (each["model"] for _, each in found if isinstance(each.get("model"), str))
    named = tuple(Grader(_name(each, place), _digest(each, job)) for place, each in found)
    return Graders(named, tuple(dict.fromkeys(judges)))


def _walk(value: object, place: str, job: str, depth: int) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise BindingError(f"job {job}: {place} is not a grader: it has no type")
    if depth > MAX_DEPTH:
        raise BindingError(f"job {job}: {place} is nested deeper than {MAX_DEPTH} graders")
    yield place, value
    inner = value.get("graders")
    if inner is None:
        return
    for name, each in _inner(inner, f"{place}.graders", job):
        yield from _walk(each, name, job, depth + 1)


def _inner(value: object, place: str, job: str) -> list[tuple[str, object]]:
    """Return the graders of a multi-grader, whether one object, an array or a map of names."""
    if isinstance(value, list):
        return [(f"{place}.{number}", each) for number, each in enumerate(value)]
    if isinstance(value, dict):
        if isinstance(value.get("type"), str):
            return [(place, value)]
        return [(f"{place}.{name}", each) for name, each in value.items()]
    raise BindingError(f"job {job}: {place} is neither an object nor an array of graders")


def _name(grader: dict[str, Any], place: str) -> str:
    name = grader.get("name")
    text = name if isinstance(name, str) and name else f"{place} ({grader['type']})"
    return text[:_MAX_NAME]


def _digest(grader: dict[str, Any], job: str) -> DigestSet:
    try:
        return DigestSet(hashlib.sha256(wire.canonical(grader)).hexdigest())
    except rfc8785.CanonicalizationError as error:
        raise BindingError(f"job {job}: a grader: {error}") from error
