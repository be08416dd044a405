"""Patterns for names: exact text, ``*`` within a path segment, ``**`` across segments.

``spiffe://acme.example/env/*`` covers ``…/env/prod`` and not ``…/env/prod/eu``;
``spiffe://acme.example/**`` covers both. There is no other syntax.

Patterns come from evidence and withdrawals of any authority, so they are not compiled to regular
expressions, where ten wildcards could backtrack without end (CWE-1333). Each text between two
``**`` is matched at its leftmost position, which leaves the most room for the rest; the text behind
the last one is matched from the right.
"""

from __future__ import annotations

from functools import lru_cache

_SEGMENT = "/"


@lru_cache(maxsize=4096)
def matches(pattern: str, name: str) -> bool:
    """Return whether ``pattern`` covers all of ``name``; an empty one covers nothing."""
    return _covers(pattern, name, _SEGMENT)


@lru_cache(maxsize=4096)
def any_matches(patterns: tuple[str, ...], name: str) -> bool:
    """Return whether one of ``patterns`` covers ``name``; false where there are none."""
    # Each call matches the same few names against the same dozens of grants.
    return any(matches(pattern, name) for pattern in patterns)


# What stands for any text a wildcard covers. Names hold no control characters, so that only a
# wildcard of the outer pattern can match one; and what may hold a slash, only ``**`` does.
_WITHIN_SEGMENT, _ACROSS = "\x00", "\x01"


def any_covers(outer: tuple[str, ...], pattern: str) -> bool:
    """Return whether one of ``outer`` covers every name that ``pattern`` covers.

    May say no where several of ``outer`` do so together, and never says yes where they do not.
    """
    if not pattern or _WITHIN_SEGMENT in pattern or _ACROSS in pattern:
        return False
    text = pattern.replace("**", _ACROSS).replace("*", _WITHIN_SEGMENT)
    return any(_covers(one, text, _SEGMENT + _ACROSS) for one in outer)


def _covers(pattern: str, name: str, ends: str) -> bool:
    """Return whether a pattern covers a text, of which ``*`` covers no character of ``ends``."""
    head, wildcard, _ = pattern.partition("*")
    if not wildcard:
        return bool(pattern) and pattern == name
    tail = pattern[pattern.rindex("*") + 1 :]
    if not name.startswith(head) or not name.endswith(tail) or len(name) < len(head) + len(tail):
        return False
    first, *others = (group.split("*") for group in pattern.split("**"))
    if not others:
        found = _from_the_right(first[1:], name, len(head), ends)
        return found >= 0 and _end_within(name, len(head), found, ends) < 0
    at = _from_the_left(first, name, 0, ends, anchored=True)
    for group in others[:-1]:
        at = -1 if at < 0 else _from_the_left(group, name, at, ends, anchored=False)
    return at >= 0 and _from_the_right(others[-1], name, at, ends) >= 0


def _from_the_left(texts: list[str], name: str, at: int, ends: str, *, anchored: bool) -> int:
    """Return where the first match of texts with ``*`` between them ends; -1 if there is none."""
    while True:
        begin = at if anchored else name.find(texts[0], at)
        if begin < 0 or not name.startswith(texts[0], begin):
            return -1
        here = begin + len(texts[0])
        for text in texts[1:]:
            found = name.find(text, here)
            if found < 0:
                return -1  # nor is it further to the right
            if _end_within(name, here, found, ends) >= 0:
                break
            here = found + len(text)
        else:
            return here
        if anchored:
            return -1
        # Further to the right in the same segment there is less room: it fails there as well.
        at = _end_within(name, begin, len(name), ends) + 1


def _from_the_right(texts: list[str], name: str, least: int, ends: str) -> int:
    """Return where the last match of such texts begins, up to the end, which is the last text."""
    here = len(name) - len(texts[-1])
    if here < least:
        return -1
    for text in reversed(texts[:-1]):
        found = name.rfind(text, least, here)
        if found < 0 or _end_within(name, found + len(text), here, ends) >= 0:
            return -1
        here = found
    return here


def _end_within(name: str, begin: int, end: int, ends: str) -> int:
    """Return where the first segment that ends between two places ends; -1 if none does."""
    found = [at for each in ends if (at := name.find(each, begin, end)) >= 0]
    return min(found, default=-1)
