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
    """Tell whether ``pattern`` covers ``name`` as a whole. An empty pattern covers nothing."""
    return bool(pattern) and _compiled(pattern).fullmatch(name) is not None


@lru_cache(maxsize=4096)
def any_matches(patterns: tuple[str, ...], name: str) -> bool:
    """Tell whether one of ``patterns`` covers ``name``; none, where there are none."""
    # Every call asks the same few questions of the same grants, dozens of them; see the bound.
    return any(matches(pattern, name) for pattern in patterns)
