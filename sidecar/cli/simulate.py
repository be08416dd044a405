"""``admit simulate``: play a history and show, step by step, what would be admitted and why.

Exit status 0 where everything came out as the history expects, 1 where something did not, 2 where
the history is wrong.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from sidecar import resources
from sidecar.cli.common import CliError, JsonOption, read
from sidecar.cli.plain_console import PlainConsole
from sidecar.core.window import rfc3339
from sidecar.simulate import history_file
from sidecar.simulate.play import Played, Simulation, StepOutcome, simulate

STDIN = "-"
UNMET = 1


def _examples(incomplete: str) -> list[str]:
    """Return names of examples, for completion."""
    return [name for name in resources.law_examples() if name.startswith(incomplete)]


def play(
    history: Annotated[
        str | None,
        typer.Argument(metavar="[HISTORY]", help="A history in YAML; - for stdin."),
    ] = None,
    example: Annotated[
        str | None,
        typer.Option(
            metavar="LAW",
            help="Print a sample history, such as law-1, instead of playing one.",
            autocompletion=_examples,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Play a history in memory and show what would be admitted after each step, and why.

    Keys are real and so is the predicate; policies are not asked. `--example law-1` prints a
    history to start from.

    Examples:
        admit simulate --example law-1 > history.yaml
        admit simulate history.yaml
    """
    if (history is None) == (example is None):
        raise CliError("name one history, or --example LAW to print a sample")
    if example is not None:
        print(_example(example), end="")
        return
    simulation = simulate(history_file.read(_read(str(history))))
    if as_json:
        print(json.dumps(to_json(simulation), indent=2, ensure_ascii=False))
    else:
        _show(simulation)
    if simulation.unmet:
        raise typer.Exit(UNMET)


def _example(name: str) -> str:
    found = resources.law_examples()
    wanted = f"law-{name}" if name.isdigit() else name
    if wanted not in found:
        raise CliError(f"--example {name}: there is none; expected one of {', '.join(found)}")
    return found[wanted].read_text(encoding="utf-8")


def _read(history: str) -> bytes:
    if history == STDIN:
        return sys.stdin.buffer.read(history_file.MAX_HISTORY_BYTES + 1)
    return read(Path(history))


def to_json(simulation: Simulation) -> dict[str, Any]:
    """Return a played history as JSON values."""
    return {
        "title": simulation.title,
        "as_expected": not simulation.unmet,
        "steps": [
            {
                "number": step.number,
                "line": step.line,
                "at": rfc3339(step.at),
                "happened": step.happened,
                "note": step.note,
                "outcomes": {
                    name: {
                        "admitted": outcome.step is None,
                        "reason": outcome.reason,
                        "step": outcome.step,
                        "detail": outcome.detail,
                        "remedy": outcome.remedy,
                        "expected": outcome.expected,
                    }
                    for name, outcome in step.outcomes.items()
                },
            }
            for step in simulation.steps
        ],
    }


def _show(simulation: Simulation) -> None:
    console = PlainConsole()
    for line in lines(simulation):
        console.print(line, highlight=False, soft_wrap=True)


def lines(simulation: Simulation) -> list[Text]:
    """Return a played history as lines for people: each step, and below it every answer."""
    width = max(len(name) for step in simulation.steps for name in step.outcomes)
    shown, before = [Text(simulation.title, "bold")], dict[str, StepOutcome]()
    for step in simulation.steps:
        heading = f"{step.number:2}  {step.at:%d %b %H:%M}  "
        shown.append(Text.assemble((heading, "dim"), (step.happened, "bold")))
        if step.note is not None:
            shown.append(Text(f"    {step.note}", "dim italic"))
        for name, outcome in step.outcomes.items():
            shown.append(_line(name.ljust(width), outcome, before.get(name)))
        before = dict(step.outcomes)
    if simulation.unmet:
        shown.append(Text())
        shown.extend(_unmet(step, name) for step, name in simulation.unmet)
    return shown


def _line(name: str, outcome: StepOutcome, before: StepOutcome | None) -> Text:
    """Return the answer to one question; a reason given one step ago is not repeated."""
    if outcome.step is None:
        return Text.assemble(f"    {name}  ", ("admitted", "green"))
    denied = (f"denied   {outcome.step} {outcome.reason}", "red")
    same = before is not None and before.detail == outcome.detail
    return Text.assemble(f"    {name}  ", denied, ", as before" if same else f": {outcome.detail}")


def _unmet(step: Played, name: str) -> Text:
    outcome = step.outcomes[name]
    place = f"step {step.number} (line {step.line}), {name}: "
    text = f"expected {outcome.expected}, found {outcome.reason}"
    return Text.assemble(("not as expected  ", "bold red"), place, text)
