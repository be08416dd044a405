"""The command table: one row a command, each of which loads, and says which file it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.cli import main


def test_every_command_stands_in_the_table_once_and_can_be_loaded() -> None:
    names = [name for name, _, _ in main.COMMANDS]
    assert len(set(names)) == len(names)
    for name in names:
        assert main.run([name, "--help"]) == 0


ASKED = ["openai/m", "--environment", "spiffe://acme.example/env"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["verify", *ASKED], "admit: trust.yaml: {}--trust FILE\n"),
        (["explain", *ASKED], "admit: trust.yaml: {}--trust FILE\n"),
        (["verify", "--evidence", "evidence"], "admit: trust.yaml: {}--trust FILE\n"),
        (["evaluate", "due"], "admit: trust.yaml: {}--trust FILE\n"),
        (["impact", "model", "openai/m", "--as", "acme"], "admit: trust.yaml: {}--trust FILE\n"),
        (["explain", "--request", "-"], "admit: sidecar.yaml: {}--config FILE\n"),
        (["serve"], "admit serve: sidecar.yaml: {}--config FILE\n"),
        (["relay"], "admit: relay.yaml: {}--config FILE\n"),
        (["binder", "serve"], "admit: binder.yaml: {}--config FILE\n"),
        (["binder", "jobs"], "admit: binder.yaml: {}--config FILE\n"),
    ],
)
def test_a_missing_configuration_file_is_one_line_with_the_option_that_gives_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.run(arguments) == 2
    assert capsys.readouterr() == ("", line.format("there is no such file; give its path with "))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["verify", "m", "--environment", "prod"],
            "--environment 'prod': not a workload's SPIFFE ID; expected spiffe://TRUST-DOMAIN/PATH",
        ),
        (
            ["explain", *ASKED, "--operation", "chat.completion"],
            "--operation: operation 'chat.completion' is not known; did you mean "
            "'chat.completions'?",
        ),
    ],
)
def test_a_misspelt_question_is_not_answered(
    capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert main.run(arguments) == 2
    assert capsys.readouterr() == ("", f"admit: {line}\n")
