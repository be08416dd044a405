"""Memory that many streams share: taken before it is used, or not used."""

from __future__ import annotations

from collections.abc import Iterator

PIECE = 1 << 18
"""The longest chunk that is handed to Envoy at once: each costs more than its bytes, up to here."""


class BufferBudget:
    """Bytes that may be held back by all streams together."""

    def __init__(self, total: int) -> None:
        self._left = total

    @property
    def left(self) -> int:
        """What is free."""
        return self._left

    def take(self, size: int) -> bool:
        """Take ``size`` bytes, if there are so many."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        """Give back what was taken."""
        self._left += size


class Held:
    """The chunks that one stream holds back, in order.

    Args:
        budget: What they are taken from.
        bound: The most that this stream may hold.
    """

    def __init__(self, budget: BufferBudget, bound: int) -> None:
        self._budget = budget
        self._bound = bound
        self._chunks: list[bytes] = []
        self.size = 0

    def add(self, chunk: bytes) -> bool:
        """Hold a chunk back; false where there is no room for it, and it is not held."""
        if self.size + len(chunk) > self._bound or not self._budget.take(len(chunk)):
            return False
        self._chunks.append(chunk)
        self.size += len(chunk)
        return True

    def widen(self, bound: int) -> None:
        """Allow this stream to hold more."""
        self._bound = bound

    def whole(self) -> bytes:
        """Everything that is held, in one piece."""
        return b"".join(self._chunks)

    def release(self) -> Iterator[bytes]:
        """Let go of everything, in pieces of at most ``PIECE`` bytes."""
        chunks, self._chunks = self._chunks, []
        for chunk in chunks:
            yield from pieces(chunk)
        self.drop()

    def drop(self) -> None:
        """Let go of everything, and of the room it took."""
        self._chunks.clear()
        self._budget.give(self.size)
        self.size = 0


def pieces(chunk: bytes) -> Iterator[bytes]:
    """A chunk in pieces of at most ``PIECE`` bytes; none for an empty one."""
    for start in range(0, len(chunk), PIECE):
        yield chunk[start : start + PIECE]
