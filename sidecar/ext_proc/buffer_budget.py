"""Bounds the bytes that all streams together may buffer."""

from __future__ import annotations

from collections.abc import Iterator

PIECE = 1 << 18
"""Longest chunk of one message to Envoy, in bytes; longer ones do not lower the cost per byte."""


class BufferBudget:
    """Counts the bytes that all streams together have buffered against a bound in bytes."""

    def __init__(self, total: int) -> None:
        self._left = total

    @property
    def left(self) -> int:
        """Return how many bytes are free."""
        return self._left

    def take(self, size: int) -> bool:
        """Reserve ``size`` bytes; return whether that many were free."""
        if size > self._left:
            return False
        self._left -= size
        return True

    def give(self, size: int) -> None:
        """Release ``size`` reserved bytes."""
        self._left += size


class BufferedChunks:
    """The chunks that one stream has buffered, in order.

    Args:
        budget: The budget shared by all streams.
        bound: The most bytes that this stream may buffer.
    """

    def __init__(self, budget: BufferBudget, bound: int) -> None:
        self._budget = budget
        self._bound = bound
        self._chunks: list[bytes] = []
        self.size = 0

    def add(self, chunk: bytes) -> bool:
        """Buffer a chunk; return whether it fit the bound and the budget."""
        if self.size + len(chunk) > self._bound or not self._budget.take(len(chunk)):
            return False
        self._chunks.append(chunk)
        self.size += len(chunk)
        return True

    def widen(self, bound: int) -> None:
        """Raise this stream's bound to ``bound`` bytes."""
        self._bound = bound

    def chunks(self) -> Iterator[bytes]:
        """Yield the buffered chunks, which stay buffered."""
        yield from self._chunks

    def whole(self) -> bytes:
        """Return all buffered bytes, joined."""
        return b"".join(self._chunks)

    def release(self) -> Iterator[bytes]:
        """Empty the buffer; yield its bytes in pieces of at most ``PIECE`` bytes."""
        chunks, self._chunks = self._chunks, []
        for chunk in chunks:
            yield from pieces(chunk)
        self.drop()

    def drop(self) -> None:
        """Discard all buffered bytes, and release their share of the budget."""
        self._chunks.clear()
        self._budget.give(self.size)
        self.size = 0


def pieces(chunk: bytes) -> Iterator[bytes]:
    """Yield a chunk in pieces of at most ``PIECE`` bytes; none for an empty chunk."""
    for start in range(0, len(chunk), PIECE):
        yield chunk[start : start + PIECE]
