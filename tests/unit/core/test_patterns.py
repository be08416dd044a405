"""A grant is never wider than it says: which names a pattern covers."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sidecar.core.patterns import any_covers, matches
from tests.support.examples import examples

PIECES = st.sampled_from(["a", "b", "ab", "/", "*", "**"])
PATTERNS = st.lists(PIECES, max_size=8).map("".join)
NAMES = st.text("ab/", max_size=12)


def backtracking(pattern: str, name: str) -> bool:
    """The definition, as a regular expression that tries every place."""
    parts = re.split(r"(\*\*|\*)", pattern)
    table = {"**": ".*", "*": "[^/]*"}
    found = "".join(table.get(part) or re.escape(part) for part in parts)
    return bool(pattern) and re.fullmatch(found, name, re.DOTALL) is not None


@settings(max_examples=examples(2000))
@given(PATTERNS, NAMES)
@example("**a*b/**", "a/ab/")
@example("a*", "b")
@example("ab*ba", "aba")
@example("a**b**a*", "aa")
@example("a/*b**", "a/a/b")
@example("a*b**", "a/b")
@example("a**b**ab", "aab")
@example("*", "")
@example("**/**a", "a/a")
@example("**a*a", "a/aa")
@example("**a*a*a", "aa")
@example("a**a**a", "aa")
@example("a*b**", "ac")
@example("ab*ab**", "ab")
def test_a_pattern_covers_what_it_is_defined_to(pattern: str, name: str) -> None:
    assert matches(pattern, name) is backtracking(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("openai/" + "**" * 100 + "z", "openai/gpt-4o-2024-08-06"),
        ("openai/" + "**a" * 100 + "**b", "openai/" + "a" * 400),
        ("**" + "a*" * 100 + "b**", "a" * 400 + "/b"),
        ("openai/" + "*a" * 100 + "*b", "openai/" + "a" * 400),
    ],
)
def test_no_pattern_of_an_authority_can_hang_a_gate(pattern: str, name: str) -> None:
    """Each would have taken for ever as a regular expression: an objector's withdrawal sufficed."""
    assert not matches(pattern, name)
    assert not any_covers((pattern,), name)


@pytest.mark.parametrize(
    ("outer", "pattern", "covered"),
    [
        (("a/*",), "a/b", True),
        (("a/*",), "a/*", True),
        (("a/*",), "a/b*", True),
        (("a/*",), "a/**", False),
        (("a/*",), "a/b/c", False),
        (("a/*/*",), "a/**", False),
        (("a/**",), "a/**", True),
        (("a/**",), "a/*/c", True),
        (("a/**",), "a*", False),
        (("a/b*",), "a/*", False),
        (("**",), "**", True),
        (("*",), "**", False),
        (("*", "a/**"), "a/*", True),
        (("",), "a", False),
        ((), "a", False),
        (("**",), "", False),
        (("**",), "a\x00", False),
        (("**",), "a\x01", False),
    ],
)
def test_a_pattern_is_covered_where_every_name_it_covers_is(
    outer: tuple[str, ...], pattern: str, covered: bool
) -> None:
    assert any_covers(outer, pattern) is covered
