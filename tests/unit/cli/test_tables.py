"""Tables cut nothing: whole cells at any width, one row a line into a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sidecar.cli import tables
from sidecar.cli.tables import fitted, show_table

DIGEST = "sha256:" + "0123456789abcdef" * 4
HEADINGS = ("key", "where", "fingerprint")
ROWS: list[tuple[str, ...]] = [("root", "file:keys/root.pem", DIGEST), ("online", "", DIGEST)]


def shown(width: int) -> list[str]:
    stream = io.StringIO()
    show_table(Console(file=stream, width=width), HEADINGS, ROWS)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_table_that_fits_has_a_line_for_each_row() -> None:
    assert shown(120) == [
        "key     where               fingerprint",
        f"root    file:keys/root.pem  {DIGEST}",
        f"online                      {DIGEST}",
    ]


def test_a_table_that_does_not_fit_has_a_block_for_each_row_and_whole_values() -> None:
    assert shown(80) == [
        "key root",
        "  where        file:keys/root.pem",
        f"  fingerprint  {DIGEST}",
        "key online",
        f"  fingerprint  {DIGEST}",
    ]


def fits(width: int, height: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=200).print(fitted(HEADINGS, ROWS * 4, width, height))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_table_that_fits_no_screen_ends_with_how_many_rows_are_missing() -> None:
    assert fits(120, 9) == ["key     where               fingerprint"] + 4 * shown(120)[1:]
    assert fits(120, 8) == [*fits(120, 9)[:7], "and 2 more"]
    assert fits(80, 20) == 4 * shown(80)
    assert fits(80, 19) == [*(4 * shown(80))[:18], "and 1 more"]
    assert fits(80, 1) == [*shown(80)[:3], "and 7 more"]


def test_a_pipe_has_the_width_of_columns_or_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert tables.stdout().width == 80
    monkeypatch.delenv("COLUMNS")
    text = "word " * 100
    tables.stdout().print(text)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [text.rstrip()]
