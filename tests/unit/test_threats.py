"""The page of threats names tests that exist, for every threat."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
PAGE = (TESTS.parent / "docs" / "threats.md").read_text(encoding="utf-8")
THREATS = 40


def known(folder: str) -> set[str]:
    """The names of all tests below a folder."""
    texts = (path.read_text(encoding="utf-8") for path in (TESTS / folder).rglob("test_*.py"))
    return {name for text in texts for name in re.findall(r"^ *def (test_\w+)\(", text, flags=re.M)}


def test_every_threat_has_a_line_and_every_line_a_test() -> None:
    lines = re.findall(r"^\| (\d+) \|.*\|$", PAGE, flags=re.M)
    assert [int(number) for number in lines] == list(range(1, THREATS + 1))
    for line in re.findall(r"^\| \d+ \|.*$", PAGE, flags=re.M):
        assert re.search(r"`[a-z0-9_/]+::", line), line


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`([a-z0-9_/]+)::(\w+|\*)`", PAGE))
    tests = {folder: known(folder) for folder, _ in named}
    missing = [(f, name) for f, name in named if name != "*" and name not in tests[f]]
    assert missing == []
    assert all(tests.values())
