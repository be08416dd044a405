"""Prepares a command's help for any width of a terminal, with its examples line by line.

Typer keeps the line breaks of every paragraph of a docstring but the first, so what was written at
100 columns is ragged at 80; it shows a flag as an option that takes a ``<bool>``; and it writes all
values of a choice as one word, which a narrow column breaks anywhere.
"""

from __future__ import annotations

import re
from inspect import cleandoc
from itertools import zip_longest
from typing import Any

EXAMPLES = "Examples:"
"""The line of a docstring below which are commands, one to a line; the docstring ends with them.

A line that is indented further continues the command above it.
"""

_LIST = re.compile(r"<list\[(.+)\]>")
_CHOICES = re.compile(r"<([^<>|]+(?:\|[^<>|]+)+)>( …)?")
_WIDEST = 18
"""Characters of a value that fit beside the name of an option at 80 columns."""


def prepare(command: Any) -> None:  # noqa: ANN401 - Typer carries its own copy of Click
    """Prepare the help of a command, and of each command below it."""
    command.help = flowing(command.help or "")
    prepare_options(command)
    for below in getattr(command, "commands", {}).values():
        prepare(below)


def prepare_options(command: Any) -> None:  # noqa: ANN401 - as above
    """Show no value of a flag, of a repeatable option that of a single one, and choices as text."""
    context = command.context_class(command)
    for parameter in command.get_params(context):
        if parameter.metavar is not None:
            continue
        if parameter.param_type_name == "option":
            parameter.metavar = _value(parameter, context)
        _list_choices(parameter, context)


def _list_choices(parameter: Any, context: Any) -> None:  # noqa: ANN401 - as above
    """Move the values of a choice that are too wide for their column into its help."""
    shown = parameter.metavar
    found = _CHOICES.fullmatch(str(parameter.display_type(context)) if shown is None else shown)
    if found is None or len(found[0]) <= _WIDEST:
        return
    parameter.help = f"{parameter.help or ''} One of {found[1].replace('|', ', ')}.".strip()
    if parameter.param_type_name == "option":
        parameter.metavar = f"<choice>{found[2] or ''}"
    else:  # whose metavar is its name
        parameter.display_type = lambda ctx: "<choice>"  # noqa: ARG005 - as Typer calls it


def flowing(text: str) -> str:
    """Return help in which each paragraph is one line, and the examples keep their lines."""
    prose, examples = split(text)
    paragraphs = [
        " ".join(paragraph.replace("``", "`").split()) for paragraph in prose.split("\n\n")
    ]
    if examples:
        paragraphs.append("\n  ".join([EXAMPLES, *examples]))
    return "\n\n".join(paragraphs)


def split(text: str) -> tuple[str, tuple[str, ...]]:
    """Return the prose of a command's help, and the lines of its examples as a shell takes them."""
    prose, _, below = cleandoc(text).partition(f"\n\n{EXAMPLES}\n")
    lines = cleandoc("\n" + below).splitlines() if below else []
    return prose, tuple(
        f"{line} \\" if after.startswith(" ") and not line.endswith("\\") else line
        for line, after in zip_longest(lines, lines[1:], fillvalue="")
    )


def _value(parameter: Any, context: Any) -> str | None:  # noqa: ANN401 - as above
    """Return how help shows an option's value; empty for a flag, which takes none."""
    if parameter.is_flag:
        return ""
    shown = str(parameter.display_type(context))
    repeated = _LIST.fullmatch(shown)
    return f"<{repeated[1].lower()}> …" if repeated else None
