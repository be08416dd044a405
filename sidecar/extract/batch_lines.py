"""Parses the lines of a batch file (JSON Lines) as requests.

A line that some parser would split is refused: ``str.splitlines`` and text files with universal
newlines also end a line at a lone carriage return and at U+0085, U+2028 and U+2029, and the text
between two of those could be a request that was never checked.

Lines are parsed by a worker process (``gate.worker_pool``), block by block; ``Lines`` only finds
the line ends.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sidecar.core import strict_json
from sidecar.core.call import Call, Reference
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.refusals import malformed, unsupported
from sidecar.extract.extractor import ExtractOptions, extract
from sidecar.extract.http_request import HttpRequest
from sidecar.providers import PROVIDERS

MAX_LINE_BYTES = 1 << 20
MAX_LINES = 50_000
BLOCK_BYTES = 256 << 10
"""Size of a block in bytes, unless one line is longer; parsing it takes about 10 ms."""

MAX_DIFFERENT = 64
"""Most calls in a file that differ in anything but their content."""

MAX_INPUTS = 4096
"""Most different stored objects, such as pictures, that the lines of a file name as input."""

_OPTIONS = ExtractOptions(MAX_LINE_BYTES, inputs=True)
_KEYS = frozenset({"custom_id", "method", "url", "body"})
_EMPTY = frozenset({b"", b"\r"})
_LINE_ENDS = (b"\r", b"\xc2\x85", b"\xe2\x80\xa8", b"\xe2\x80\xa9")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of complete lines of a file.

    Attributes:
        provider: The provider whose manifests name the models.
        api: Name of the upstream's table of operations.
        first: Number of the block's first line, from 1.
        data: The lines.
    """

    provider: str
    api: str
    first: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BlockCalls:
    """The calls of a block.

    Attributes:
        calls: Every distinct call before the first refused line, with its first line's number.
        inputs: Every stored object that these lines name as input, with its first line's number.
        refused: Code and message of the refused line; ``None`` if every line was parsed.
    """

    calls: Mapping[Call, int]
    inputs: Mapping[Reference, int]
    refused: tuple[Reason, str] | None = None


BlockReader = Callable[[Block], Awaitable[BlockCalls]]
"""Parses a block, in this process (``read_here``) or in another (``WorkerPool.lines``)."""


def read_block(block: Block) -> BlockCalls:
    """Parse a block; a refusal is returned, because the calls before it are judged first."""
    calls: dict[Call, int] = {}
    inputs: dict[Reference, int] = {}
    # Not splitlines: it ends lines at more than a line feed.
    for number, line in enumerate(block.data.removesuffix(b"\n").split(b"\n"), block.first):
        try:
            call = _line(line, number, block)
        except AdmissibilityError as error:
            return BlockCalls(calls, inputs, (error.reason, error.message))
        if call is not None:
            for named in call.inputs:
                inputs.setdefault(named, number)
            calls.setdefault(replace(call, inputs=()) if call.inputs else call, number)
        if len(calls) > MAX_DIFFERENT or len(inputs) > MAX_INPUTS:
            break  # ``Lines.add`` refuses it, by the first line that is too many in the whole file
    return BlockCalls(calls, inputs)


async def read_here(block: Block) -> BlockCalls:
    """``read_block`` in this process."""
    return read_block(block)


class Lines:
    """Splits a file, as it arrives, into blocks; buffers at most a block and a line.

    Args:
        provider: The provider whose manifests name the models.
        api: Name of the upstream's table of operations.

    Attributes:
        calls: Every distinct call so far, with the number of the first line that makes it.
        inputs: Every stored object named as input so far, with the number of the first such line.
    """

    def __init__(self, provider: str, api: str) -> None:
        self.calls: dict[Call, int] = {}
        self.inputs: dict[Reference, int] = {}
        self._provider = provider
        self._api = api
        self._parts: list[bytes] = []
        self._size = 0
        self._ended = False
        self._next = 1

    def feed(self, data: bytes) -> Iterator[Block]:
        """Buffer the next bytes.

        Args:
            data: The next bytes, split anywhere.

        Yields:
            Blocks to parse; pass each result to ``add`` before the next block is taken.

        Raises:
            AdmissibilityError: A line is too long.
        """
        self._parts.append(data)
        self._size += len(data)
        self._ended = self._ended or b"\n" in data
        # Joining copies every byte, so it is done once per block, or for a line that is too long.
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
        """End the input.

        Yields:
            Blocks of the lines that are left.

        Raises:
            AdmissibilityError: The file has no line.
        """
        rest, at = b"".join(self._parts), 0
        while at < len(rest):
            end = _end(rest, at) or len(rest)
            yield self._block(rest[at:end])
            at = end
        if not self.calls:
            raise malformed("the batch file has no lines")

    def add(self, found: BlockCalls) -> None:
        """Add the calls of the last block.

        Raises:
            AdmissibilityError: A line is refused; the message has its number.
        """
        for call, number in found.calls.items():
            self.calls.setdefault(call, number)
            if len(self.calls) > MAX_DIFFERENT:
                raise malformed(
                    f"line {number} of the batch file: more than {MAX_DIFFERENT} calls that"
                    " differ in operation, models or types of tools; split the file"
                )
        for named, number in found.inputs.items():
            self.inputs.setdefault(named, number)
            if len(self.inputs) > MAX_INPUTS:
                raise malformed(
                    f"line {number} of the batch file: more than {MAX_INPUTS} different stored"
                    " objects are named as input; split the file"
                )
        if found.refused is not None:
            raise AdmissibilityError(*found.refused)

    def _block(self, data: bytes) -> Block:
        block = Block(self._provider, self._api, self._next, data)
        self._next += data.count(b"\n")
        return block


def _end(data: bytes, at: int) -> int:
    """Return the end of the block at ``at``, after its last complete line; 0 if there is none."""
    bound = at + BLOCK_BYTES
    return data.rfind(b"\n", at, bound) + 1 or data.find(b"\n", bound) + 1


def _line(line: bytes, number: int, block: Block) -> Call | None:
    if number > MAX_LINES:
        raise AdmissibilityError(
            Reason.BODY_INCOMPLETE,
            f"the batch file has more than {MAX_LINES} lines; split the file",
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
        raise malformed(
            "U+000D, U+0085, U+2028 or U+2029, which some parsers take for a line end; escape it"
        )
    try:
        value = strict_json.loads_object(line, max_bytes=MAX_LINE_BYTES)
    except strict_json.StrictJsonError as error:
        raise malformed(str(error)) from error
    if set(value) != _KEYS or not isinstance(value["custom_id"], str):
        raise malformed("the keys must be exactly custom_id (a string), method, url and body")
    call = extract(_request(value, block), _OPTIONS)
    if call.references:
        raise AdmissibilityError(
            Reason.OBJECT_UNREGISTERED,
            f"a line of a batch cannot use the stored {call.references[0].kind}"
            f" {call.references[0].id}",
        )
    if call.modelless or call.tuned or not call.named:
        raise unsupported(f"{call.operation} runs no named model, so a batch cannot contain it")
    return call


def _request(value: dict[str, Any], block: Block) -> HttpRequest:
    """Return the line's request; its body was parsed strictly, so serializing it is safe."""
    if not (
        value["method"] == "POST"
        and isinstance(value["url"], str)
        and isinstance(value["body"], dict)
    ):
        raise malformed("method must be POST, url a string and body an object")
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
