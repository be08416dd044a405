"""The gate's own log: nobody else's words make a line of their own."""

from __future__ import annotations

import logging
import sys

import pytest

from sidecar.observe.plain_lines import MAX_CHARS, PlainLines, plain


def record(message: str, *, failed: bool = False) -> str:
    """A message as it is written, without its time."""
    trace = sys.exc_info() if failed else None
    made = logging.LogRecord("sidecar.trust", logging.WARNING, "", 0, "%s", (message,), trace)
    return PlainLines().format(made).partition(" WARNING ")[2]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain … \u00e9", "plain … \u00e9"),
        ("a\n2026-11-21 ERROR forged", "a\\n2026-11-21 ERROR forged"),
        ("a\rb\x1b[2J\x00", "a\\rb\\x1b[2J\\x00"),
        ("\x85\u2028\u2029\u202e", "\\x85\\u2028\\u2029\\u202e"),
        ("\udcff.json", "\\udcff.json"),
    ],
)
def test_what_is_no_printable_character_is_escaped(text: str, written: str) -> None:
    assert record(text) == f"sidecar.trust: {written}"


def test_a_long_message_keeps_both_its_ends() -> None:
    cut = plain("a" * 5000 + "b" * 5000)
    assert (len(cut), cut[:3], cut[-3:]) == (MAX_CHARS, "aaa", "bbb")
    assert plain("a" * MAX_CHARS) == "a" * MAX_CHARS


def test_no_line_of_a_traceback_begins_like_a_line_of_the_log() -> None:
    try:
        raise ValueError("x\n2026-11-21 00:00:00,000 ERROR sidecar.gate: forged")
    except ValueError:
        first, *rest = record("failed", failed=True).splitlines()
    assert first == "sidecar.trust: failed"
    assert rest[-1] == "  2026-11-21 00:00:00,000 ERROR sidecar.gate: forged"
    assert all(line.startswith("  ") for line in rest)
