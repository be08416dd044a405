"""The list of breaks: lines that are all still there, each with tests of its own."""

from __future__ import annotations

import pytest

from tests.mutants.breaks import FILE, ROOT, Break, BreaksError, broken, read

MADE = Break("a name", "a.py", "    a = 1", "    a = 2", ("tests/test_a.py",))
ENTRY = """
[[break]]
name = "a name"
file = "a.py"
old = "    a = 1"
new = "    a = 2"
tests = ["tests/test_a.py"]
"""


def test_an_entry_is_read_as_a_break() -> None:
    assert read(ENTRY) == (MADE,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no breaks, or two of one name"),
        (ENTRY * 2, "no breaks, or two of one name"),
        (ENTRY.replace("= 2", "= 1"), "break 1 has no tests, or changes nothing"),
        (ENTRY.replace('"tests/test_a.py"', ""), "break 1 has no tests, or changes nothing"),
        (ENTRY.replace("old", "line"), "break 1: .*line"),
        (ENTRY.replace("tests", "proofs"), "break 1: 'tests'"),
    ],
)
def test_a_break_that_could_not_be_missed_or_caught_is_refused(text: str, message: str) -> None:
    with pytest.raises(BreaksError, match=message):
        read(text)


def test_a_line_is_replaced_wherever_it_is_and_only_as_a_whole() -> None:
    source = "if b:\n    a = 1\n    a = 10\nelse:\n    a = 1\n"
    assert broken(source, MADE) == "if b:\n    a = 2\n    a = 10\nelse:\n    a = 2\n"


def test_a_line_that_is_gone_is_an_error_and_no_break() -> None:
    with pytest.raises(BreaksError, match=r"a\.py: no line 'a = 1'"):
        broken("    a = 10\n", MADE)


def test_every_listed_line_and_test_file_is_still_there() -> None:
    listed = read(FILE.read_text())
    assert len(listed) >= 20
    for each in listed:
        broken((ROOT / each.file).read_text(), each)
        for file, _, test in (name.partition("::") for name in each.tests):
            assert f"def {test.partition('[')[0]}" in (ROOT / file).read_text(), each.name
