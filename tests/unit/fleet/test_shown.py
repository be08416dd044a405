"""What ``admit fleet`` and ``withdraw --wait`` show on a terminal of 80 columns."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from sidecar.cli import fleet as command
from sidecar.cli.main import app
from sidecar.fleet import fleet_file
from sidecar.fleet.fleet_file import PinnedGate
from sidecar.fleet.reading import GateReading
from sidecar.fleet.watch import FleetWatch
from sidecar.registry.keys import open_or_create
from tests.unit.fleet.statements import DIGEST, publish

_REVISION = f"sha256:{'ab82' * 16}"


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A gate that is as it should be, one that is behind, and one of which nothing is known."""
    gates = tmp_path / "fleet.yaml"
    for name, version in (("frankfurt-1", 18), ("london-2", 1), ("dublin-3", 0)):
        key, path = open_or_create(tmp_path / f"{name}.pem"), tmp_path / f"{name}.json"
        if version:
            publish(path, key, version=version, revision=_REVISION)
        fleet_file.pin(gates, PinnedGate(name, key.public, str(path)))
    return gates


def test_a_gate_that_is_behind_the_others_is_named_within_80_columns(
    fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = CliRunner().invoke(app, ["fleet", "--fleet", str(fleet)])
    assert done.exit_code == 1
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert lines == [
        "gate         state    epoch  problem",
        "frankfurt-1  ready    4",
        "london-2     ready    4      has regulator 1, not 18",
        "dublin-3     unknown         no status: No such file or directory",
        "",
        "gates    2 of 3 ready",
        "release  0.1.0",
        f"policies {_REVISION}",
        "newest   regulator 18",
    ]


def test_gates_with_one_version_of_an_authority_and_two_contents_are_named(
    fleet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # TUF does not exclude that an authority, or whoever has its keys, shows two histories.
    monkeypatch.setenv("COLUMNS", "100")
    path = tmp_path / "london-2.json"
    key = open_or_create(tmp_path / "london-2.pem")
    publish(path, key, version=18, revision=_REVISION, withdrawals="0e" * 32)
    done = CliRunner().invoke(app, ["fleet", "--fleet", str(fleet)])
    problem = "has other withdrawals of regulator 18 than another gate"
    assert [line.rstrip() for line in done.stdout.splitlines()][1:3] == [
        f"frankfurt-1  ready    4      {problem}",
        f"london-2     ready    4      {problem}",
    ]


def test_a_table_that_is_shown_while_one_waits_does_not_repeat_itself(
    fleet: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=80, height=24, color_system=None)
    monkeypatch.setattr(command, "PlainConsole", lambda **_: terminal)
    reads: list[int] = []
    read = FleetWatch.read

    def counted(self: FleetWatch, seconds: float) -> list[GateReading]:
        reads.append(1)
        return read(self, seconds)

    monkeypatch.setattr(FleetWatch, "read", counted)
    found = command.wait_in_force(fleet, "regulator", 18, lambda: DIGEST, 0.2, quiet=False)
    assert [each["in_force"] for each in found] == [True, False, False]
    # Rich draws the last one once more when it ends.
    assert screen.getvalue().count("18 is published") in (len(reads), len(reads) + 1)
    assert len(reads) > 1


def test_of_a_fleet_larger_than_the_screen_the_gates_that_lack_it_come_first(
    fleet: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=80, height=5, color_system=None)
    monkeypatch.setattr(command, "PlainConsole", lambda **_: terminal)
    monkeypatch.setattr(command, "MAX_ROWS", 2)
    command.wait_in_force(fleet, "regulator", 18, lambda: DIGEST, 0.0, quiet=False)
    drawn = [line.rstrip() for line in screen.getvalue().splitlines()]
    assert {line for line in drawn if line.startswith(("frankfurt", "and"))} == {"and 2 more"}
    assert any(line.startswith("london-2  NO") for line in drawn)
    assert "1 of 3 have it in force; waiting, 0 s left" in screen.getvalue()
    # It ends with those that lack it, and their number.
    ended = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in ended] == ["gate", "london-2", "dublin-3", "1"]
    assert ended[-1] == "1 of 3 gates have it in force"
