"""Help at any width: paragraphs flow, examples keep their lines, and a flag takes no value."""

from __future__ import annotations

import pytest

from admissibility_devtools.site.commands import every
from sidecar.cli import help_text
from sidecar.cli.main import run
from sidecar.core.documents import WithdrawalKind

DOCSTRING = """Do something at once.

    More about it, in lines
    of one width.

    Last words.

    Examples:
        admit this FILE
        admit that --one VALUE
            --two VALUE
            --three
    """


def test_paragraphs_are_one_line_each_and_an_example_continues_as_in_a_shell() -> None:
    assert help_text.flowing(DOCSTRING) == (
        "Do something at once.\n\nMore about it, in lines of one width.\n\nLast words.\n\n"
        "Examples:\n"
        "  admit this FILE\n"
        "  admit that --one VALUE \\\n"
        "      --two VALUE \\\n"
        "      --three"
    )


def test_what_was_prepared_once_stays_as_it_is() -> None:
    once = help_text.flowing(DOCSTRING)
    assert help_text.flowing(once) == once


@pytest.mark.parametrize(
    "arguments", [["--help"], ["serve", "--help"], ["policy", "test", "--help"]]
)
def test_a_flag_is_not_shown_as_an_option_with_a_value(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(arguments) == 0
    shown = capsys.readouterr().out
    assert "--help" in shown
    assert "bool" not in shown


def test_no_value_of_an_option_is_wider_than_its_column_at_80_columns() -> None:
    """A wider one is broken in the middle of a word; of a choice, its help has the values."""
    wide = [
        (context.command_path, parameter.name)
        for context in every()
        for parameter in context.command.params
        if len(parameter.metavar or parameter.display_type(context)) > 24
    ]
    assert wide == [("admit policy diff", "as_if")]  # 26 wide, and fits


def test_the_values_of_a_choice_are_named_in_its_help(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for command in ("withdraw", "impact"):
        assert run([command, "--help"]) == 0
        shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
        assert f"One of {', '.join(WithdrawalKind)}." in shown


@pytest.mark.parametrize(
    ("arguments", "nearest"), [(["statsu"], "'status'"), (["policy", "chekc"], "'check'")]
)
def test_a_misspelt_command_is_answered_with_the_nearest(
    arguments: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert f"Did you mean {nearest}?" in capsys.readouterr().err


def test_only_the_program_itself_offers_completion(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["retirements", "--help"]) == 0
    assert "--install-completion" not in capsys.readouterr().out
