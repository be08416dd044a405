"""Prints tables that cut nothing, on a terminal of any width and into a pipe."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from itertools import accumulate

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from sidecar.cli.plain_console import PlainConsole

_UNLIMITED = 10_000
"""Columns of a pipe, so that each row is one line: what reads it need not join lines."""

_GAP = 2
Cell = str | Text


def stdout() -> Console:
    """Return a console on standard output; a pipe has no width unless ``COLUMNS`` gives one."""
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return PlainConsole(highlight=False, width=_UNLIMITED if piped else None)


def show_table(console: Console, headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Print rows as a table or, where one is too wide, each as a block of lines.

    Args:
        console: Where to print.
        headings: Of the columns; the first names the row.
        rows: As many cells each as there are headings. In a block, empty cells are left out.
    """
    console.print(drawn(headings, rows, console.width), soft_wrap=True)


def drawn(headings: Sequence[str], rows: Sequence[Sequence[Cell]], width: int) -> Table | Text:
    """Return what ``show_table`` prints on a console of that many columns."""
    cells = [[_text(cell) for cell in row] for row in rows]
    widths = [
        max(len(heading), *(len(row[column]) for row in cells), 0)
        for column, heading in enumerate(headings)
    ]
    if sum(widths) + _GAP * (len(widths) - 1) <= width:
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        for heading in headings:
            table.add_column(heading, no_wrap=True)
        for row in cells:
            table.add_row(*row)
        return table
    label = max(len(heading) for heading in headings[1:])
    lines = []
    for row in cells:
        lines.append(Text.assemble((f"{headings[0]} ", "dim"), row[0]))
        for heading, cell in zip(headings[1:], row[1:], strict=True):
            if cell:
                lines.append(Text.assemble((f"  {heading:{label}}  ", "dim"), cell))
    return Text("\n", overflow="fold").join(lines)


def fitted(
    headings: Sequence[str], rows: Sequence[Sequence[Cell]], width: int, height: int
) -> Group:
    """Return the table of as many rows as fit on some lines, and of how many more there are.

    Args:
        headings: As of ``show_table``.
        rows: As of ``show_table``; the first are shown.
        width: Columns of the screen.
        height: Lines that may be taken; one row is shown in any case.
    """
    some = rows[:height]
    blocks = isinstance(drawn(headings, some, width), Text)
    lines = [sum(map(bool, row)) if blocks else 1 for row in some]
    room = height - (0 if blocks else 1)
    if len(some) == len(rows) and sum(lines) <= room:
        return Group(drawn(headings, rows, width))
    ends = accumulate(lines)
    shown = max(1, sum(end <= room - 1 for end in ends))
    more = Text(f"and {len(rows) - shown:,} more", "dim")
    return Group(drawn(headings, some[:shown], width), more)


def _text(cell: Cell) -> Text:
    return cell if isinstance(cell, Text) else Text(cell)
