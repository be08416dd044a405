"""Lets commands share groups of options: frozen dataclasses whose fields are options of typer."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from inspect import Parameter
from typing import Any, TypeVar, get_type_hints

_Command = TypeVar("_Command", bound=Callable[..., Any])


def grouped(command: _Command) -> _Command:
    """Replace each parameter that is an option group by the options that are its fields.

    The command is given one instance of each group; typer, help and completion see the options.
    Options are named once, here or in a group: a name that occurs twice is a ``ValueError``.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, type[Any]] = {
        name: each.annotation
        for name, each in signature.parameters.items()
        if isinstance(each.annotation, type) and dataclasses.is_dataclass(each.annotation)
    }
    options = [
        option
        for name, each in signature.parameters.items()
        for option in (_options(groups[name]) if name in groups else (each,))
    ]

    @functools.wraps(command)
    def run(**given: Any) -> Any:  # noqa: ANN401 - options have any type
        made = {
            name: kind(**{each.name: given.pop(each.name) for each in dataclasses.fields(kind)})
            for name, kind in groups.items()
        }
        return command(**given, **made)

    # By keyword, since an option with a default may come before one without.
    shown = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in options]
    run.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in shown}
    return run  # type: ignore[return-value]


def _options(group: type[Any]) -> Iterator[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for each in dataclasses.fields(group):
        default = Parameter.empty if each.default is dataclasses.MISSING else each.default
        yield Parameter(
            each.name, Parameter.KEYWORD_ONLY, default=default, annotation=hints[each.name]
        )
