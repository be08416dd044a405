"""Lists the providers, each with its descriptor and its table of operations.

An operation that is in no table is refused. A route's context extension ``api`` chooses the table;
without it, the table with the name of the ``provider``. A module of this package that has a
``PROVIDER`` is a provider: one is added by adding its file.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sidecar.providers.operation import Body, Operation
from sidecar.providers.provider import Provider


def _found() -> Iterator[Provider]:
    """Import every module of this package and yield its descriptor, in the order of names."""
    for module in pkgutil.iter_modules(__path__):
        provider = getattr(importlib.import_module(f"{__name__}.{module.name}"), "PROVIDER", None)
        if isinstance(provider, Provider):
            yield provider


PROVIDERS: Mapping[str, Provider] = {provider.name: provider for provider in _found()}
"""Every provider by its name."""

ADAPTED_NAMES: re.Pattern[str] = re.compile(
    "|".join(f"(?:{each.adapted.pattern})" for each in PROVIDERS.values() if each.adapted.pattern),
    re.DOTALL | re.IGNORECASE,
)
"""The rule of every provider in one: a name that any of them gives to adapted models.

A route's ``provider`` is a name of the operator's own, so the rule does not depend on it.
"""


def canonical_name(name: str) -> str:
    """Return ``provider/id``, or a pattern over it, by the one name that calls of the model have.

    Unchanged where no table has the provider's name: which one a route uses is the operator's.
    """
    provider, slash, model = name.partition("/")
    api = PROVIDERS.get(provider) if slash and model else None
    return name if api is None else f"{provider}/{api.canonical(model)}"


def withdrawn_names(name: str) -> tuple[str, ...]:
    """Return the other names, or patterns, that a withdrawal of ``provider/id`` is of too."""
    one = canonical_name(name)
    provider, _, model = one.partition("/")
    api = PROVIDERS.get(provider)
    further = () if api is None else tuple(f"{provider}/{each}" for each in api.elsewhere(model))
    return tuple(each for each in (one, *further) if each != name)


def operation_names() -> frozenset[str]:
    """Return the names of all operations: the values of a metric's label."""
    return frozenset(row.name for api in PROVIDERS.values() for row in api.operations)


def shut_operations() -> frozenset[str]:
    """Return the names of operations that are closed until an operator opens them."""
    return frozenset(row.name for api in PROVIDERS.values() for row in api.operations if row.shut)


@dataclass(frozen=True, slots=True)
class Creation:
    """The objects that an operation's response names, and that later calls can use.

    Attributes:
        kind: Kind of the object that it creates; ``None`` if it only names others.
        upload: Whether its models are in a body that ext_authz does not see.
        registered: Whether it may be created only if it is registered.
        named_at: Key of the response that names it.
        also: Further objects: place in the response, and kind.
    """

    kind: str | None
    upload: bool
    registered: bool
    named_at: str = "id"
    also: tuple[tuple[str, str], ...] = ()


INPUT_KINDS: frozenset[str] = frozenset(
    kind for api in PROVIDERS.values() for kind in api.inputs.kinds.values()
)
"""Kinds of stored objects that some call can name as input."""

FILE = "file"

_CREATIONS: Mapping[tuple[str, str], Creation] = {
    (api.name, row.name): Creation(
        row.creates,
        row.body is Body.STREAMED and row.creates == FILE,
        row.registered,
        row.named_at,
        tuple(row.also.items()),
    )
    for api in PROVIDERS.values()
    for row in api.operations
    if row.creates is not None or row.also
}


def creation(api: str, operation: str) -> Creation | None:
    """Return the objects that an operation's response names; ``None`` if there are none."""
    return _CREATIONS.get((api, operation))


_UPDATES: Mapping[tuple[str, str], frozenset[str]] = {
    (api.name, row.name): row.updates
    for api in PROVIDERS.values()
    for row in api.operations
    if row.updates
}


CHANGING: frozenset[str] = frozenset(kind for updates in _UPDATES.values() for kind in updates)
"""Kinds of stored objects to which later calls can add models."""


def updated_by(api: str, operation: str) -> frozenset[str]:
    """Return the kinds of stored objects to which a call of this operation adds models."""
    return _UPDATES.get((api, operation), frozenset())


_FETCHING = frozenset(
    (api.name, row.name) for api in PROVIDERS.values() for row in api.operations if row.fetches
)


def fetches(api: str, operation: str) -> bool:
    """Return whether the response of an operation is what the models of its objects made."""
    return (api, operation) in _FETCHING


__all__ = [
    "ADAPTED_NAMES",
    "CHANGING",
    "FILE",
    "PROVIDERS",
    "Creation",
    "Operation",
    "canonical_name",
    "creation",
    "fetches",
    "operation_names",
    "shut_operations",
    "updated_by",
    "withdrawn_names",
]
