"""Finds texts that differ from one that was read strictly in the contents of strings alone.

Theory of operation. Evidence of one kind mostly differs in digests, names and times. Where a text
has no escapes, quotes are where its strings begin and end. What is outside of them (the *shape*),
with the names of its members, decides whether a strict parser finds a name twice, too deep a
nesting or too many parts. So a text with the shape and the names of one that was read strictly
needs a parser for its values, which also refuses a string that is none, and no strict look.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_MOST, _MOST_READINGS = 256, 16
"""Shapes that are kept, and readings of each; lists of another length make another shape."""
_LONGEST = 4_096
_SPACE = b" \t\r\n"


class Shapes(Generic[T]):
    """What was learned of texts, by their shape and their names; bounded."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[itemgetter[Any], list[tuple[Any, T]]]] = {}

    def find(self, shape: bytes, parts: Sequence[bytes]) -> T | None:
        """Return what was learned of texts with this shape and with the names of this one.

        Args:
            shape: What is outside of the strings.
            parts: The text, split at its quotes: every other part is a string.
        """
        known = self._known.get(shape)
        if known is not None:
            fixed, readings = known
            names = fixed(parts)
            for expected, found in readings:
                if expected == names:
                    return found
        return None

    def learn(
        self, shape: bytes, parts: Sequence[bytes], found: T, values: Iterable[int] = ()
    ) -> None:
        """Keep what was learned of a text that was read strictly.

        Args:
            shape: As in ``find``.
            parts: As in ``find``.
            found: What is returned for texts like it.
            values: Places, as of ``place``, of values that must be the same.
        """
        if len(shape) > _LONGEST:
            return
        if len(self._known) >= _MOST:
            self._known = {}
        # At least two, one of them a name: an ``itemgetter`` of one key returns no tuple.
        fixed = itemgetter(*names(parts), *values)
        _, readings = self._known.setdefault(shape, (fixed, []))
        if len(readings) < _MOST_READINGS:
            readings.append((fixed(parts), found))


def names(parts: Sequence[bytes]) -> list[int]:
    """Return where the names of members are in a text that is split at its quotes."""
    return [at for at in range(1, len(parts), 2) if parts[at + 1].lstrip(_SPACE).startswith(b":")]


def place(parts: Sequence[bytes], name: bytes) -> int:
    """Return where the value of the one member with a name is; 0 where that is no string.

    It is 0 as well where several members have the name, on whatever level.
    """
    found = [at for at in names(parts) if parts[at] == name]
    if len(found) != 1 or parts[found[0] + 1].strip(_SPACE) != b":":
        return 0
    return found[0] + 2
