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
from sidecar.fleet.reading import read_fleet
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
    monkeypatch.setattr(command, "_AGAIN_SECONDS", 0.01)
    reads: list[int] = []
    read = read_fleet

    def counted(gates: tuple[PinnedGate, ...]) -> object:
        reads.append(1)
        return read(gates)

    monkeypatch.setattr(command, "read_fleet", counted)
    found = command.wait_in_force(fleet, "regulator", 18, lambda: DIGEST, 0.1, quiet=False)
    assert [each["in_force"] for each in found] == [True, False, False]
    # Rich draws the last one once more when it ends.
    assert screen.getvalue().count("18 is published") in (len(reads), len(reads) + 1)
    assert len(reads) > 1
