"""Long work shows how far it has come; short work, and a pipe, show nothing."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sidecar.cli import long_work


@pytest.mark.parametrize(
    ("patience", "terminal", "shown"), [(0.0, True, True), (60.0, True, False), (0.0, False, False)]
)
def test_only_long_work_at_a_terminal_shows_a_bar(
    patience: float, terminal: bool, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=80, color_system=None)
    monkeypatch.setattr(long_work, "PlainConsole", lambda **_: console)
    monkeypatch.setattr(long_work, "_PATIENCE_SECONDS", patience)
    with long_work.progress("verifying evidence") as advanced:
        advanced(3, 40)
    assert ("verifying evidence" in screen.getvalue()) is shown
    assert ("3/40" in screen.getvalue()) is shown
