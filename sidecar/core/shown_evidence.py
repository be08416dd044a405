"""Limits the evidence of one kind that policies see: the newest of each author in turn.

Rules ask whether evidence exists that satisfies them, so evidence that is not shown can only cost
an allow: a call that a part of the evidence admits, all of it admits. Every author is among what is
shown, however much another author signed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice, zip_longest
from typing import TypeVar

T = TypeVar("T")

MOST_SHOWN = 64
"""Results of one suite, approvals of one role, or waivers that policies are shown."""


def newest_of_each(
    found: Sequence[T], author: Callable[[T], str], began: Callable[[T], str]
) -> tuple[T, ...]:
    """Return at most ``MOST_SHOWN`` of what counts, in its order.

    Args:
        found: What counts.
        author: Returns who signed one.
        began: Returns when it began, as a text that sorts by time (RFC 3339, UTC).
    """
    if len(found) <= MOST_SHOWN:
        return tuple(found)
    numbers: dict[str, list[int]] = {}
    for number in sorted(range(len(found)), key=lambda each: began(found[each]), reverse=True):
        numbers.setdefault(author(found[number]), []).append(number)
    turns = zip_longest(*(numbers[name] for name in sorted(numbers)))
    in_turn = (number for turn in turns for number in turn if number is not None)
    return tuple(found[number] for number in sorted(islice(in_turn, MOST_SHOWN)))


def beyond(count: int, what: str) -> str:
    """Return what a finding adds where policies are not shown everything; empty otherwise."""
    return f"; policies are shown {MOST_SHOWN} of {count} {what}" if count > MOST_SHOWN else ""
