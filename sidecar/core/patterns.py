"""Patterns for names: exact text, ``*`` within a path segment, ``**`` across segments.

``spiffe://acme.example/env/*`` covers ``…/env/prod`` and not ``…/env/prod/eu``;
``spiffe://acme.example/**`` covers both. There is no other magic, so a pattern means the same to
everyone who reads it.
"""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", pattern)
    table = {"**": ".*", "*": "[^/]*"}
    return re.compile("".join(table.get(part) or re.escape(part) for part in parts), re.DOTALL)


def matches(pattern: str, name: str) -> bool:
    """Return whether ``pattern`` covers all of ``name``; an empty one covers nothing."""
    return bool(pattern) and _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=4096)
def any_matches(patterns: tuple[str, ...], name: str) -> bool:
    """Return whether one of ``patterns`` covers ``name``; false where there are none."""
    # Every call asks the same few questions of the same grants, dozens of them; see the bound.
    return any(matches(pattern, name) for pattern in patterns)


# What stands for any text a wildcard covers. Names hold no control characters, so that only a
# wildcard of the outer pattern can match one; and what may hold a slash, only ``**`` does.
_WITHIN_SEGMENT, _ACROSS = "\x00", "\x01"


@lru_cache(maxsize=4096)
def _compiled_outer(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", pattern)
    table = {"**": ".*", "*": f"[^/{_ACROSS}]*"}
    return re.compile("".join(table.get(part) or re.escape(part) for part in parts), re.DOTALL)


def any_covers(outer: tuple[str, ...], pattern: str) -> bool:
    """Return whether one of ``outer`` covers every name that ``pattern`` covers.

    May say no where several of ``outer`` do so together, and never says yes where they do not.
    """
    if not pattern or _WITHIN_SEGMENT in pattern or _ACROSS in pattern:
        return False
    text = pattern.replace("**", _ACROSS).replace("*", _WITHIN_SEGMENT)
    return any(bool(one) and _compiled_outer(one).fullmatch(text) is not None for one in outer)
