"""Formats a number with its noun in the singular or plural, for messages."""

from __future__ import annotations


def amount(number: int, one: str, many: str | None = None) -> str:
    """Return a number with its noun, such as ``1 manifest`` or ``2 manifests``.

    Args:
        number: How many.
        one: The noun, or the rest of the clause, for 1.
        many: The same for any other number; ``one`` with an s unless given.
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"
