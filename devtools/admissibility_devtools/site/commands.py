"""Write the reference of the command line, by introspection of the Typer application."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from admissibility_devtools.site.tables import table
from sidecar.cli.main import app

HEAD = """# Command line

`admit --help` and `admit COMMAND --help` print the same. A command that cannot do what it was asked
for prints one line that says why and ends with exit status 2.

"""
_LIST = re.compile(r"<list\[(.+)\]>")


def page() -> str:
    """Return the page: a section for each command, groups before their commands."""
    return HEAD + "\n".join(_section(context) for context in every())


def every() -> Iterator[Any]:
    """Yield the Click context of every command and group, in the order of ``--help``."""
    root: Any = typer.main.get_command(app)
    yield from _below(root.context_class(root, info_name="admit"))


def _below(parent: Any) -> Iterator[Any]:  # noqa: ANN401 - Typer carries its own copy of Click
    for name in parent.command.list_commands(parent):
        command = parent.command.get_command(parent, name)
        if command.hidden:
            continue
        context = command.context_class(command, info_name=name, parent=parent)
        yield context
        if hasattr(command, "list_commands"):
            yield from _below(context)


def _section(context: Any) -> str:  # noqa: ANN401 - Typer carries its own copy of Click
    command, path = context.command, context.command_path
    level = "#" * (len(path.split()))
    text = f"{level} {path}\n\n{_paragraphs(command.help or '')}\n"
    if hasattr(command, "list_commands"):
        return text
    usage = " ".join(command.get_usage(context).removeprefix("Usage:").split())
    return f"{text}\n```text\n{usage}\n```\n\n{_parameters(context)}"


def _parameters(context: Any) -> str:  # noqa: ANN401 - Typer carries its own copy of Click
    records = [_record(parameter, context) for parameter in context.command.params]
    rows = [(f"`{name}`", _escaped(text)) for name, text in records if name]
    return table(("argument or option", "meaning"), rows) if rows else ""


def _record(parameter: Any, context: Any) -> tuple[str, str]:  # noqa: ANN401 - as above
    """Return one parameter's name with its value's kind, and its help."""
    found = parameter.get_help_record(context)
    if found is None:
        return "", ""
    return _LIST.sub(_lowered, found[0]).replace(" / ", ", "), found[1]


def _lowered(kind: re.Match[str]) -> str:
    """Return the kind of a repeatable option's value, as that of a single one is written."""
    return f"<{kind[1].lower()}> …"


def _paragraphs(text: str) -> str:
    """Return a docstring's paragraphs, each on one line."""
    blocks = text.replace("\b", "").replace("\f", "").split("\n\n")
    return "\n\n".join(_escaped(" ".join(block.split())) for block in blocks)


def _escaped(text: str) -> str:
    """Return text in which nothing reads as HTML."""
    return text.replace("<", "&lt;").replace("*", "\\*")
