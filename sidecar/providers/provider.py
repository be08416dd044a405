"""Defines the descriptor of a provider: all that is specific to one kind of upstream.

One module of this package per provider, each with one ``PROVIDER``. A missing part is an error when
the module is imported, so no provider is served with an incomplete description.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from sidecar.providers.error_shapes import ErrorShape
from sidecar.providers.operation import Operation
from sidecar.providers.stored_inputs import StoredInputs


class NameKind(Enum):
    """What a model's name denotes at a provider."""

    MODEL = "a model"
    DEPLOYMENT = "a deployment: a binding states which model it runs"
    CHOOSER = "a router that chooses a model by itself"


def always_a_model(_: str) -> NameKind:
    """Return ``MODEL`` for every name."""
    return NameKind.MODEL


def always_a_deployment(_: str) -> NameKind:
    """Return ``DEPLOYMENT`` for every name: it can be pointed at another model at any time."""
    return NameKind.DEPLOYMENT


def as_written(model: str) -> str:
    """Return the name itself: the API takes each model under one name."""
    return model


def no_further(_: str) -> tuple[str, ...]:
    """Return no further model, where each name is that of one."""
    return ()


@dataclass(frozen=True, slots=True)
class AdaptedNames:
    """The rule for which names mark a model as adapted, so that none of them is a base model.

    Attributes:
        pattern: Regular expression, matched in full and without regard to case. Empty where any
            name can be that of an adapter; then only the operator's list of base models decides.
        note: Source of the rule, or why there is no pattern.
    """

    pattern: str
    note: str

    def __post_init__(self) -> None:
        """Refuse a rule without its source, or one that cannot be compiled."""
        if not self.note:
            raise ValueError("adapted names: the note must state the source of the rule")
        re.compile(self.pattern)


SELF_HOSTED: tuple[str, ...] = ("self-hosted",)
"""In place of hosts, for a server that each operator runs under a name of its own."""


_PARTS = ("name", "title", "operations", "hosts", "configurations", "documentation", "errors")


@dataclass(frozen=True, slots=True)
class Provider:
    """One kind of upstream.

    Attributes:
        name: Value of the route's context extension ``api``.
        title: Name as its owner writes it, for pages and messages.
        operations: The rows; a request that matches none is refused.
        hosts: Patterns of the host names under which it is reached, or ``SELF_HOSTED``.
        adapted: The rule for names of adapted models.
        names: Returns what a model's name denotes, by its canonical name.
        configurations: Stems of the reference configurations in ``envoy/`` that lead to it.
        documentation: One paragraph for the page of operations: where models are named, what a
            name denotes, and what an operator sets.
        errors: The form of its errors, for every row that has none of its own.
        inputs: Keys that name stored objects as input, whose owner is checked with registration on;
            ``NO_INPUTS`` where its API has none.
        canonical: Returns the one name of a model that its API takes under several, so that
            evidence and withdrawals hold for all of them.
        further: Returns the models that are run by a canonical name besides the one it names, as
            its form states; each must be admissible too.
        elsewhere: Returns the names that another endpoint of the API, or evidence, has for the
            model of a canonical name, or a pattern over them. A call by a name of another endpoint
            is judged by that; a withdrawal of the model is of each of them too.
        slashes: Whether a name in a path may hold an escaped slash.
        lines: How a line of a batch file writes routes: pairs of the written prefix and its prefix
            in the table. The first pair that fits counts.
    """

    name: str
    title: str
    operations: tuple[Operation, ...]
    hosts: tuple[str, ...]
    adapted: AdaptedNames
    names: Callable[[str], NameKind]
    configurations: tuple[str, ...]
    documentation: str
    errors: ErrorShape
    inputs: StoredInputs
    canonical: Callable[[str], str]
    further: Callable[[str], tuple[str, ...]]
    elsewhere: Callable[[str], tuple[str, ...]]
    slashes: bool = False
    lines: tuple[tuple[str, str], ...] = (("/", "/"),)

    def __post_init__(self) -> None:
        """Refuse a provider that lacks a part.

        Raises:
            ValueError: Names the provider and the part.
        """
        for part in _PARTS:
            if not getattr(self, part):
                raise ValueError(f"provider {self.name!r} has no {part}")

    def named(self, model: str) -> tuple[str, ...]:
        """Return the canonical name of a model as written, and the further models that it runs."""
        name = self.canonical(model)
        return (name, *self.further(name))

    def line(self, path: str) -> str:
        """Return the path in the table for a path in a batch file; unchanged if no prefix fits."""
        for written, meant in self.lines:
            if path.startswith(written):
                return meant + path.removeprefix(written)
        return path
