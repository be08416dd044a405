"""A text of an authority's, or of a caller's, does nothing to the terminal that shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.text import Text

from sidecar.cli.main import run
from sidecar.cli.plain_console import PlainConsole

LAW = Path(__file__).parents[3] / "docs/laws/law-1.yaml"
ERASING = r'because: "medical\e[2K\e[1A\r\u009b2J\u202E\r\n    support in prod  admitted"'


def test_a_reason_neither_erases_nor_forges_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history, text = tmp_path / "history.yaml", LAW.read_text()
    assert "because: contains medical records" in text
    history.write_text(text.replace("because: contains medical records", ERASING))
    assert run(["simulate", str(history)]) == 0
    shown = capsys.readouterr().out
    (line,) = [each for each in shown.splitlines() if "medical" in each]
    assert line.endswith(r"tickets: medical\x1b[2K\x1b[1A \x9b2J\u202e support in prod admitted"), (
        line
    )
    assert shown.replace("\n", "").isprintable()


def test_the_consoles_own_colours_stay(capsys: pytest.CaptureFixture[str]) -> None:
    console = PlainConsole(force_terminal=True, color_system="standard")
    console.print(Text("red\x1b[0m", style="red"))
    assert capsys.readouterr().out == "\x1b[31mred\\x1b[0m\x1b[0m\n"
