"""Write the reference of the command line, by introspection of the Typer application."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any

import typer

from admissibility_devtools.site.tables import table
from sidecar.cli import help_text
from sidecar.cli.main import app

HEAD = """# Command line

`admit --help` and `admit COMMAND --help` print the same. A command that cannot do what it was asked
for prints one line that says why and ends with exit status 2.

"""
NOT_RUN = "<!-- not run: each is an example of its form, which a test parses -->"


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
    prose, examples = help_text.split(command.help or "")
    text = f"{level} {path}\n\n{_paragraphs(prose)}\n"
    if hasattr(command, "list_commands"):
        return text
    usage = " ".join(command.get_usage(context).removeprefix("Usage:").split())
    lines = "\n".join(examples)
    shown = f"{NOT_RUN}\n```sh\n{lines}\n```\n\n" if examples else ""
    return f"{text}\n```text\n{usage}\n```\n\n{shown}{_parameters(context)}"


def _parameters(context: Any) -> str:  # noqa: ANN401 - Typer carries its own copy of Click
    records = [_record(parameter, context) for parameter in context.command.params]
    rows = [(_code(name), _escaped(text)) for name, text in records if name]
    return table(("argument or option", "meaning"), rows) if rows else ""


def _record(parameter: Any, context: Any) -> tuple[str, str]:  # noqa: ANN401 - as above
    """Return one parameter's name with its value's kind, and its help."""
    found = parameter.get_help_record(context)
    if found is None:
        return "", ""
    return found[0].replace(" / ", ", "), found[1]


def _paragraphs(text: str) -> str:
    """Return a docstring's paragraphs, each on one line."""
    blocks = text.replace("\b", "").replace("\f", "").split("\n\n")
    return "\n\n".join(_escaped(" ".join(block.split())) for block in blocks)


def _code(text: str) -> str:
    """Return code for a cell of a table, where a bar between backticks would be shown escaped."""
    if "|" not in text:
        return f"`{text}`"
    return f"<code>{html.escape(text).replace('|', '&#124;')}</code>"


def _escaped(text: str) -> str:
    """Return text in which nothing reads as HTML."""
    return text.replace("<", "&lt;").replace("*", "\\*")
