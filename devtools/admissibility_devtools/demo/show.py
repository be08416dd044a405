"""Prints the demo line by line as it happens, so that the screen is never blank for long."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from admissibility_devtools.demo.caller import SdkReply

_COLOURS = {2: "green", 4: "yellow", 5: "magenta"}
_WIDTH = 110


@dataclass(frozen=True, slots=True)
class Line:
    """One call of the demo: what was tried, what was expected, and the reply."""

    tried: str
    expected: str
    outcome: SdkReply
    note: str = ""

    @property
    def as_stated(self) -> bool:
        """Whether the reply has the expected reason code."""
        return self.outcome.reason == self.expected


@dataclass
class StoryPrinter:
    """Prints scenes as they happen, and keeps every line.

    Attributes:
        quiet: Whether to print nothing, for ``--json``.
        lines: Every call so far, in order.
    """

    quiet: bool = False
    lines: list[Line] = field(default_factory=list)
    _console: Console = field(
        default_factory=lambda: Console(
            highlight=False, width=None if sys.stdout.isatty() else _WIDTH
        )
    )

    def scene(self, number: int, title: str) -> None:
        """Print the heading of a scene."""
        if not self.quiet:
            self._console.print()
            self._console.rule(f"[bold]{number}. {title}", align="left", style="dim")

    def note(self, text: str) -> None:
        """Print something that happened without a call."""
        if not self.quiet:
            self._indented(text, 3)

    def _indented(self, text: str, columns: int) -> None:
        """Print text of which every line that it wraps into begins at the same column."""
        self._console.print(Padding(Text(text, style="dim"), (0, 0, 0, columns), expand=False))

    def call(self, line: Line) -> None:
        """Print one call and keep it."""
        self.lines.append(line)
        if self.quiet:
            return
        outcome = line.outcome
        colour = _COLOURS.get(outcome.status // 100, "red")
        mark = ("✓", "bold green") if line.as_stated else ("✗", "bold red")
        self._console.print(
            Text.assemble(
                " ",
                mark,
                f" {line.tried:<39.39} ",
                (f"{outcome.status or '---':>3} {outcome.reason:<24}", colour),
                (f" {line.note}", "dim"),
            )
        )
        if outcome.error:
            text = outcome.text if len(outcome.text) < 360 else outcome.text[:357] + "…"
            self._indented(f"{outcome.error}: {text}", 5)
        if not line.as_stated:
            self._console.print(Text(f"     expected {line.expected}", style="bold red"))

    def end(self) -> bool:
        """Print the sum, and return whether there were calls and every one was as stated."""
        wrong = [line for line in self.lines if not line.as_stated]
        if not self.quiet:
            self._console.print()
            if wrong:
                self._console.print(
                    f"[bold red]{len(wrong)} of {len(self.lines)} calls did not end as stated."
                )
            else:
                self._console.print(
                    f"[bold green]All {len(self.lines)} calls ended as the story states."
                )
        return bool(self.lines) and not wrong
