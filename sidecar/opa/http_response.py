"""Parses HTTP/1.1 responses, strictly: what OPA's server sends, and nothing that can be misread.

No I/O: bytes in, a response out (RFC 9112). A body has a ``Content-Length`` or is sent in chunks,
as Go's server does from 2 KiB on; both, neither, or either one twice is an error, and so are
extensions of chunks and trailers. Interim responses are an error too: none is asked for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_HEAD_BYTES = 16 << 10
_MAX_CHUNK_LINE = 16
_STATUS = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t ]*([\t\x20-\x7e\x80-\xff]*?)[\t ]*")
_LENGTH = re.compile(rb"[0-9]{1,10}")
_CHUNK = re.compile(rb"[0-9A-Fa-f]{1,8}")
_BODILESS = frozenset({204, 304})


class ResponseError(Exception):
    """A response that is not read; the connection it came on is of no more use."""


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response; ``last`` is whether the server closes the connection after it."""

    status: int
    body: bytes
    last: bool


class ResponseParser:
    """Parses the bytes of one response as they come.

    Args:
        longest: The most bytes of a body.
    """

    __slots__ = ("_body", "_chunked", "_data", "_last", "_left", "_longest", "_status")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._data = bytearray()
        self._body = bytearray()
        self._status = 0
        self._last = False
        self._chunked = False
        self._left = 0

    def feed(self, data: bytes) -> Response | None:
        """Take more bytes; return the response once it is whole.

        Raises:
            ResponseError: It is malformed or too long, or more bytes follow it.
        """
        self._data += data
        if not self._status and not self._head():
            return None
        whole = self._chunks() if self._chunked else self._sized()
        if not whole:
            return None
        if self._data:
            raise ResponseError("bytes after the response")
        return Response(self._status, bytes(self._body), self._last)

    def _head(self) -> bool:
        """Parse status line and fields, if they are all there."""
        end = self._data.find(b"\r\n\r\n")
        if end < 0 or end > MAX_HEAD_BYTES:
            if len(self._data) > MAX_HEAD_BYTES:
                raise ResponseError("the head of the response is too long")
            return False
        lines = bytes(self._data[:end]).split(b"\r\n")
        del self._data[: end + 4]
        found = _STATUS.fullmatch(lines[0])
        if found is None:
            raise ResponseError("no status line of a final HTTP/1.1 response")
        fields: dict[bytes, list[bytes]] = {}
        for line in lines[1:]:
            field = _FIELD.fullmatch(line)
            if field is None:
                raise ResponseError("a malformed field")
            fields.setdefault(field[1].lower(), []).append(field[2].lower())
        self._status = int(found[1])
        self._last = any(b"close" in value for value in fields.get(b"connection", ()))
        self._frame(fields.get(b"content-length", []), fields.get(b"transfer-encoding", []))
        return True

    def _frame(self, lengths: list[bytes], codings: list[bytes]) -> None:
        """Find how the body is delimited (RFC 9112 §6.3)."""
        if self._status in _BODILESS and not codings:
            return
        if codings:
            if codings != [b"chunked"] or lengths:
                raise ResponseError("a body with another coding than chunks, or with a length too")
            self._chunked = True
        elif len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]):
            raise ResponseError("a body without one length")
        else:
            self._left = self._bounded(int(lengths[0]))

    def _bounded(self, more: int) -> int:
        if len(self._body) + more > self._longest:
            raise ResponseError("the response is too long")
        return more

    def _sized(self) -> bool:
        """Take what is there of the body, or of a chunk; return whether nothing is left of it."""
        if self._left:
            part = self._data[: self._left]
            del self._data[: len(part)]
            self._body += part
            self._left -= len(part)
        return not self._left

    def _chunks(self) -> bool:
        """Take the chunks that are there; return whether the last one is (RFC 9112 §7.1)."""
        while self._left or self._data:
            if self._left > 2:
                # The line end after the chunk's data is counted in ``_left``.
                part = self._data[: self._left - 2]
                del self._data[: len(part)]
                self._body += part
                self._left -= len(part)
            elif self._left:
                if len(self._data) < 2:
                    return False
                if self._data[:2] != b"\r\n":
                    raise ResponseError("a chunk that is longer than its size")
                del self._data[:2]
                self._left = 0
            else:
                end = self._data.find(b"\r\n")
                if end < 0 and len(self._data) < _MAX_CHUNK_LINE:
                    return False
                if end < 0 or not _CHUNK.fullmatch(self._data[:end]):
                    raise ResponseError("a malformed size of a chunk")
                size = self._bounded(int(self._data[:end], 16))
                if not size:
                    return self._ended(end)
                del self._data[: end + 2]
                self._left = size + 2
            if not self._data:
                return False
        return False

    def _ended(self, end: int) -> bool:
        """Return whether the empty line after the last chunk is there; no trailer is accepted."""
        rest = self._data[end + 2 : end + 4]
        if not b"\r\n".startswith(rest):
            raise ResponseError("fields after the last chunk")
        if len(rest) < 2:
            return False
        del self._data[: end + 4]
        return True
