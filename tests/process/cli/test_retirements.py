"""A list of retirement dates with one that is over: it would stop calls at once, so it is said."""

from __future__ import annotations

from pathlib import Path

from tests.process.cli.admit import admit

OVER = (
    "! the date of openai/gpt-4o-2024-08-06 is over: gates refuse what is named so, and what was "
    "tuned from it, as soon as this is published\n"
)


def test_a_date_that_is_over_is_named_before_it_is_published(tmp_path: Path) -> None:
    home, dates = tmp_path / "host", tmp_path / "dates.csv"
    admit("authority", "init", "host", "--dir", home)
    dates.write_text("model,date\ngpt-4o-2024-08-06,2026-01-31\ngpt-5,2099-01-31\n")
    words = ("retirements", "import", dates, "--provider", "openai", "--home", home)
    assert admit(*words, "--dry-run").stderr.decode() == OVER
    assert admit(*words, "--yes").stderr.decode() == OVER
    assert admit(*words, "--yes").stderr.decode() == ""
