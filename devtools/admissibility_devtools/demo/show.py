"""How the story is told: one table that grows line by line, so that nobody waits before a blank."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

from admissibility_devtools.demo.caller import Outcome

_COLOURS = {2: "green", 4: "yellow", 5: "magenta"}
_WIDTH = 110


@dataclass(frozen=True, slots=True)
class Line:
    """One call of the story: what was tried, what came back, and whether that was expected."""

    tried: str
    expected: str
    outcome: Outcome
    note: str = ""

    @property
    def as_stated(self) -> bool:
        """Whether the reply was the one the story states."""
        return self.outcome.reason == self.expected


@dataclass
class Teller:
    """Prints scenes as they happen and remembers every line."""

    quiet: bool = False
    lines: list[Line] = field(default_factory=list)
    _console: Console = field(
        default_factory=lambda: Console(
            highlight=False, width=None if sys.stdout.isatty() else _WIDTH
        )
    )

    def scene(self, number: int, title: str) -> None:
        """Begin a scene."""
        if not self.quiet:
            self._console.print()
            self._console.rule(f"[bold]{number}. {title}", align="left", style="dim")

    def say(self, text: str) -> None:
        """Tell something that happened without a call."""
        if not self.quiet:
            self._console.print(Text(f"   {text}", style="dim"))

    def call(self, line: Line) -> None:
        """Show one call."""
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
                f" {line.tried:<44.44} ",
                (f"{outcome.status or '---':>3} {outcome.reason:<24}", colour),
                (f" {line.note}", "dim"),
            )
        )
        if outcome.error:
            told = outcome.text if len(outcome.text) < 360 else outcome.text[:357] + "…"
            self._console.print(Text(f"     {outcome.error}: {told}", style="dim"))
        if not line.as_stated:
            self._console.print(Text(f"     expected {line.expected}", style="bold red"))

    def end(self) -> bool:
        """Sum up; returns whether every line was as stated."""
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
