"""The lines of a batch file (JSON Lines): each is a request, and is read like one.

A line that some reader would cut in two is refused: ``str.splitlines`` and text files with
universal newlines also end a line at a lone carriage return and at U+0085, U+2028 and U+2029, and
what stands between two of those could be a request that nobody looked at.

Reading is work for another process (``heavy``), block by block: ``Lines`` only finds the line ends.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.core import strict_json
from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.refusals import malformed, unsupported
from sidecar.extract.extractor import extract
from sidecar.extract.http_request import HttpRequest
from sidecar.providers import PROVIDERS

MAX_LINE_BYTES = 1 << 20
MAX_LINES = 50_000
BLOCK_BYTES = 256 << 10
"""As many lines as fit are read in one go, or one that is longer: 10 ms of work, as lines go."""

MAX_DIFFERENT = 64
"""How many calls that differ in anything but their content a file may hold."""

_KEYS = frozenset({"custom_id", "method", "url", "body"})
_EMPTY = frozenset({b"", b"\r"})
_LINE_ENDS = (b"\r", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9")


@dataclass(frozen=True, slots=True)
class Block:
    """Some whole lines of a file.

    Attributes:
        provider: Whose manifests name the models.
        api: Which table of operations the upstream has.
        first: Number of its first line, from 1.
        data: The lines.
    """

    provider: str
    api: str
    first: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Found:
    """What a block holds.

    Attributes:
        calls: Every different call before anything refused, with the number of its first line.
        refused: Why reading ended early; null where every line was read.
    """

    calls: Mapping[Call, int]
    refused: tuple[Reason, str] | None = None


Reader = Callable[[Block], Awaitable[Found]]
"""Whoever reads a block: this process (``read_here``), or another (``heavy``)."""


def read(block: Block) -> Found:
    """Read a block; what is refused is told and not raised, as calls before it count first."""
    calls: dict[Call, int] = {}
    # Not splitlines: it ends lines at more than a line feed.
    for number, line in enumerate(block.data.removesuffix(b"\n").split(b"\n"), block.first):
        try:
            call = _line(line, number, block)
        except AdmissibilityError as error:
            return Found(calls, (error.reason, error.message))
        if call is not None:
            calls.setdefault(call, number)
        if len(calls) > MAX_DIFFERENT:
            break  # ``Lines.add`` refuses it, by the first line that is too many in the whole file
    return Found(calls)


async def read_here(block: Block) -> Found:
    """``read`` in this process."""
    return read(block)


class Lines:
    """Takes a file as it comes, and gives it out in blocks; keeps little more than one line of it.

    Args:
        provider: Whose manifests name the models.
        api: Which table of operations the upstream has.

    Attributes:
        calls: Every different call that was found, with the number of the first line that makes it.
    """

    def __init__(self, provider: str, api: str) -> None:
        self.calls: dict[Call, int] = {}
        self._provider = provider
        self._api = api
        self._parts: list[bytes] = []
        self._size = 0
        self._ended = False
        self._next = 1

    def feed(self, data: bytes) -> Iterator[Block]:
        """Take the next bytes.

        Args:
            data: Cut anywhere.

        Yields:
            What is to be read now; hand what was found to ``add`` before asking for more.

        Raises:
            AdmissibilityError: A line is too long.
        """
        self._parts.append(data)
        self._size += len(data)
        self._ended = self._ended or b"\n" in data
        # Joining costs by the byte, so it waits for enough whole lines, or for one too long.
        if (self._ended and self._size >= BLOCK_BYTES) or self._size > MAX_LINE_BYTES:
            whole, at = b"".join(self._parts), 0
            while len(whole) - at >= BLOCK_BYTES and (end := _end(whole, at)):
                yield self._block(whole[at:end])
                at = end
            self._parts, self._size = [whole[at:]], len(whole) - at
            self._ended = b"\n" in self._parts[0]
            if not self._ended and self._size > MAX_LINE_BYTES:
                raise _long()

    def close(self) -> Iterator[Block]:
        """Say that no more bytes come.

        Yields:
            The lines that are left.

        Raises:
            AdmissibilityError: There was no line at all.
        """
        rest, at = b"".join(self._parts), 0
        while at < len(rest):
            end = _end(rest, at) or len(rest)
            yield self._block(rest[at:end])
            at = end
        if not self.calls:
            raise malformed("the batch file has no lines")

    def add(self, found: Found) -> None:
        """Take what was found in the last block.

        Raises:
            AdmissibilityError: A line is refused; the message says which.
        """
        for call, number in found.calls.items():
            self.calls.setdefault(call, number)
            if len(self.calls) > MAX_DIFFERENT:
                raise malformed(
                    f"line {number} of the batch file: more than {MAX_DIFFERENT} calls that"
                    " differ in operation, models or kinds of tools; make it several files"
                )
        if found.refused is not None:
            raise AdmissibilityError(*found.refused)

    def _block(self, data: bytes) -> Block:
        block = Block(self._provider, self._api, self._next, data)
        self._next += data.count(b"\n")
        return block


def _end(data: bytes, at: int) -> int:
    """Where the block at ``at`` ends: behind its last whole line, however long, or 0."""
    bound = at + BLOCK_BYTES
    return data.rfind(b"\n", at, bound) + 1 or data.find(b"\n", bound) + 1


def _line(line: bytes, number: int, block: Block) -> Call | None:
    if number > MAX_LINES:
        raise AdmissibilityError(
            Reason.BODY_INCOMPLETE, f"the batch file has more than {MAX_LINES} lines"
        )
    if len(line) > MAX_LINE_BYTES:
        raise _long()
    if line in _EMPTY:
        return None
    try:
        return _call(line.removesuffix(b"\r"), block)
    except AdmissibilityError as error:
        raise AdmissibilityError(
            error.reason, f"line {number} of the batch file: {error.message}"
        ) from error


def _call(line: bytes, block: Block) -> Call:
    if any(end in line for end in _LINE_ENDS):
        raise malformed("a character that ends a line for some readers; escape it")
    try:
        value = strict_json.loads_object(line, max_bytes=MAX_LINE_BYTES)
    except strict_json.StrictJsonError as error:
        raise malformed(str(error)) from error
    if set(value) != _KEYS or not isinstance(value["custom_id"], str):
        raise malformed("not custom_id, method, url and body, and nothing else")
    call = extract(_request(value, block), max_bytes=MAX_LINE_BYTES)
    if call.references:
        raise AdmissibilityError(
            Reason.OBJECT_UNREGISTERED,
            f"a {call.references[0].kind} cannot be built on from within a batch",
        )
    if call.modelless or call.tuned or not call.named:
        raise unsupported(f"{call.operation} runs no model, so not in a batch")
    return call


def _request(value: dict[str, Any], block: Block) -> HttpRequest:
    """The request that the line stands for; its body has one reading, so writing it is safe."""
    if not (
        value["method"] == "POST"
        and isinstance(value["url"], str)
        and isinstance(value["body"], dict)
    ):
        raise malformed("method is not POST, url not a path, or body not an object")
    body = json.dumps(value["body"], ensure_ascii=False, separators=(",", ":")).encode()
    return HttpRequest(
        method="POST",
        path=_path(value["url"], block.api),
        headers=(("content-type", "application/json"), ("content-length", str(len(body)))),
        raw_body=body,
        provider=block.provider,
        api=block.api,
    )


def _path(url: str, api: str) -> str:
    table = PROVIDERS.get(api)
    return url if table is None else table.line(url)


def _long() -> AdmissibilityError:
    return AdmissibilityError(
        Reason.BODY_INCOMPLETE,
        f"the batch file has a line of more than {MAX_LINE_BYTES} bytes",
    )
