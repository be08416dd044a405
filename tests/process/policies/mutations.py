"""Ways to spoil a JSON document, one place at a time."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]


def fields(document: Any, open_maps: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Yield the path of every field of every object in ``document``, containers included.

    The keys inside a map named in ``open_maps`` are content, not fields, and are left alone.
    """
    if isinstance(document, dict):
        for key, value in document.items():
            yield (key,)
            if key not in open_maps:
                yield from ((key, *rest) for rest in fields(value, open_maps))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from ((index, *rest) for rest in fields(value, open_maps))


def without(document: Any, path: Path) -> Any:
    """A copy of ``document`` in which the field at ``path`` is absent."""
    changed = copy.deepcopy(document)
    del _parent(changed, path)[path[-1]]
    return changed


def replaced(document: Any, path: Path, value: Any) -> Any:
    """A copy of ``document`` in which the field at ``path`` is ``value``."""
    changed = copy.deepcopy(document)
    _parent(changed, path)[path[-1]] = value
    return changed


def at(document: Any, path: Path) -> Any:
    """The value at ``path``."""
    return _parent(document, path)[path[-1]]


def other_type(value: Any) -> Any:
    """A value that says the same at a glance and is of another JSON type."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str) or value is None:
        return 7
    return {} if isinstance(value, list) else []


def _parent(document: Any, path: Path) -> Any:
    for step in path[:-1]:
        document = document[step]
    return document
