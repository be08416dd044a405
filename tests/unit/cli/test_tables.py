"""Tables cut nothing: whole cells at any width, one row a line into a pipe."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from sidecar.cli import tables
from sidecar.cli.tables import show_table

DIGEST = "sha256:" + "0123456789abcdef" * 4
HEADINGS = ("key", "where", "fingerprint")
ROWS = [("root", "file:keys/root.pem", DIGEST), ("online", "", DIGEST)]


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


def test_a_pipe_has_the_width_of_columns_or_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert tables.stdout().width == 80
    monkeypatch.delenv("COLUMNS")
    text = "word " * 100
    tables.stdout().print(text)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [text.rstrip()]
