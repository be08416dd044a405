"""A grant is never wider than it says: which names a pattern covers."""

from __future__ import annotations

import pytest

from sidecar.core.patterns import any_covers


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
