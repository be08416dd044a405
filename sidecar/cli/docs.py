"""``admit docs``: the guides and reference pages of the installed version.

Messages name a page by the command that prints it, because an installation has no checkout and a
page that is published elsewhere may be of another version.
"""

from __future__ import annotations

import json
import re
from difflib import get_close_matches
from typing import Annotated

import typer
from rich.table import Table

from sidecar import resources
from sidecar.cli.common import CliError, JsonOption
from sidecar.cli.tables import stdout

_FENCE = "```"


def _pages(incomplete: str) -> list[str]:
    """Return names of pages, for completion."""
    return [name for name in resources.guides() if name.startswith(incomplete)]


def docs(
    page: Annotated[
        str | None,
        typer.Argument(
            metavar="[PAGE]",
            help="Page, such as sre, or docs/sre.md#gatesilent as alerts name a runbook.",
            autocompletion=_pages,
        ),
    ] = None,
    section: Annotated[
        str | None,
        typer.Argument(metavar="[SECTION]", help="Print only the section with this heading."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a guide or reference page of this version; without a name, list them.

    Examples:
        admit docs
        admit docs sre
        admit docs sre GateSilent
    """
    pages = resources.guides()
    if page is None:
        _list({name: _title(path.read_text("utf-8")) for name, path in pages.items()}, as_json)
        return
    name, _, anchor = page.removeprefix("docs/").partition("#")
    name, wanted = name.removesuffix(".md"), section or anchor
    if name not in pages:
        near = get_close_matches(name, pages, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(pages)}"
        raise CliError(f"no page is called {name!r}; {hint}")
    text = pages[name].read_text("utf-8")
    if wanted:
        text = section_of(text, wanted)
        if not text:
            raise CliError(f"{name} has no section {wanted!r}; its headings: admit docs {name}")
    print(json.dumps({"name": name, "text": text}) if as_json else text, end="")


def _list(titles: dict[str, str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(titles, indent=2))
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, title in titles.items():
        table.add_row(name, title)
    stdout().print(table)


def section_of(text: str, wanted: str) -> str:
    """Return one section of a page, with those below it; empty if it has none of that heading.

    Args:
        text: The page, in Markdown.
        wanted: The heading, or its anchor as a link writes it.
    """
    depth, kept, fenced = 0, list[str](), False
    for line in text.splitlines(keepends=True):
        fenced ^= line.lstrip().startswith(_FENCE)
        level = len(line) - len(line.lstrip("#")) if not fenced and line.startswith("#") else 0
        if depth and level and level <= depth:
            break
        if not depth and level and _anchor(line.strip("# \n")) == _anchor(wanted):
            depth = level
        if depth:
            kept.append(line)
    return "".join(kept).rstrip("\n") + "\n" if kept else ""


def _anchor(heading: str) -> str:
    """Return the anchor of a heading, as Markdown renderers make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def _title(text: str) -> str:
    return next((line[2:].strip() for line in text.splitlines() if line.startswith("# ")), "")
