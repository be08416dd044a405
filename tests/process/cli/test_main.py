"""The command table: one row a command, each of which loads."""

from __future__ import annotations

from sidecar.cli import main


def test_every_command_stands_in_the_table_once_and_can_be_loaded() -> None:
    names = [name for name, _, _ in main.COMMANDS]
    assert len(set(names)) == len(names)
    for name in names:
        assert main.run([name, "--help"]) == 0
