"""An upload as it passes: its purpose decides whether it is read, and then all of it is held back.

    fields … purpose=batch      → held until every line of the file is admitted, then let go
    fields … purpose=fine-tune  → let go; every later chunk goes on as it comes

Until the purpose is known, nothing goes on. Afterwards the form is still followed to its end, so
that no second purpose hides behind the file; a refusal then ends a request that is not complete.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from enum import Enum

from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.refusals import ambiguous, malformed
from sidecar.ext_proc.buffer_budget import BufferBudget, Held, pieces
from sidecar.extract import multipart
from sidecar.extract.batch_lines import Block, Lines, Reader
from sidecar.extract.http_request import HttpRequest
from sidecar.extract.multipart import Parser, PartBegin, PartData, PartEnd

PREFIX_BYTES = 64 << 10
"""What may come before the file."""

BATCH = "batch"
PURPOSES = frozenset({BATCH, "assistants", "evals", "fine-tune", "user_data", "vision"})
"""Purposes that a caller may give; what is none of them could be read as one of them."""

_PURPOSE, _FILE = "purpose", "file"
_READ = (_PURPOSE, _FILE)
_MAX_PURPOSE_BYTES = 64

Judge = Callable[[Mapping[Call, int]], Awaitable[None]]
"""Admits every call of a file, given with the number of its line, or raises."""


class State(Enum):
    """How far an upload came."""

    BEGINNING = "the purpose is not known"
    READING = "a batch file, held back"
    PASSING = "anything else"
    ADMITTED = "a batch file, let go"


class Upload:
    """One upload.

    Args:
        request: Its head.
        budget: Memory of all streams.
        max_bytes: The longest batch upload, form and all.
        judge: Asked once, about everything in a batch file.
        reader: Reads the lines of a batch file.

    Raises:
        AdmissibilityError: It is not a form, or is encoded.
    """

    def __init__(
        self,
        request: HttpRequest,
        budget: BufferBudget,
        max_bytes: int,
        judge: Judge,
        reader: Reader,
    ) -> None:
        self.state = State.BEGINNING
        self.calls: tuple[Call, ...] = ()
        self._parser = Parser(_boundary(request))
        self._held = Held(budget, min(PREFIX_BYTES, max_bytes))
        self._max_bytes = max_bytes
        self._judge = judge
        self._reader = reader
        self._lines = Lines(request.provider, request.api)
        self._part: PartBegin | None = None
        self._purpose: bytearray | None = None
        self._files = 0

    @property
    def begun(self) -> bool:
        """Whether anything of it was let go."""
        return self.state in {State.PASSING, State.ADMITTED}

    async def feed(self, chunk: bytes, *, last: bool) -> AsyncIterator[bytes]:
        """Read on, and yield what may go on now.

        Args:
            chunk: The next bytes.
            last: Whether they are the last.

        Raises:
            AdmissibilityError: The upload is refused.
        """
        await self._read(chunk, last=last)
        if self.state is not State.PASSING:
            self._hold(chunk)
        if last:
            await self._end()
        if self.begun:
            for piece in self._held.release():
                yield piece
        if self.state is State.PASSING:
            for piece in pieces(chunk):
                yield piece

    def drop(self) -> None:
        """Let go of what is held, where the upload ends otherwise."""
        self._held.drop()

    async def _read(self, chunk: bytes, *, last: bool) -> None:
        try:
            for event in self._parser.feed(chunk):
                await self._event(event)
            if last:
                self._parser.close()
        except multipart.AmbiguousFieldError as error:
            raise ambiguous(f"form: {error}") from error
        except multipart.MultipartError as error:
            raise malformed(f"form: {error}") from error

    async def _event(self, event: multipart.Event) -> None:
        if isinstance(event, PartBegin):
            self._begin(event)
        elif isinstance(event, PartData):
            await self._data(event.data)
        elif isinstance(event, PartEnd):
            self._end_part()

    def _begin(self, part: PartBegin) -> None:
        multipart.refuse_twins((part.name,), _READ)
        self._part = part
        is_file = part.filename is not None
        if is_file != (part.name == _FILE):
            raise malformed("the form's one file is not called file")
        if part.name == _PURPOSE:
            if self._purpose is not None:
                raise malformed("the purpose is given twice")
            self._purpose = bytearray()
        if is_file:
            if self.state is State.BEGINNING:
                raise malformed(
                    "purpose comes after the file; send it before, so that the file can be read"
                )
            self._files += 1
            if self._files > 1:
                raise malformed("the form has more than one file")

    async def _data(self, data: memoryview) -> None:
        if self._part is None:
            return
        if self._part.name == _PURPOSE and self._purpose is not None:
            self._purpose += data
            if len(self._purpose) > _MAX_PURPOSE_BYTES:
                raise malformed("the purpose is not one that files have")
        elif self._part.name == _FILE and self.state is State.READING:
            await self._lines_in(self._lines.feed(bytes(data)))

    async def _lines_in(self, blocks: Iterator[Block]) -> None:
        for block in blocks:
            self._lines.add(await self._reader(block))

    def _end_part(self) -> None:
        part, self._part = self._part, None
        if part is None or part.name != _PURPOSE or self._purpose is None:
            return
        purpose = self._purpose.decode("latin-1")
        if purpose not in PURPOSES:
            raise malformed(f"the purpose is not one of {', '.join(sorted(PURPOSES))}")
        if purpose == BATCH:
            self.state = State.READING
            self._held.widen(self._max_bytes)
        else:
            self.state = State.PASSING

    def _hold(self, chunk: bytes) -> None:
        if self._held.add(chunk):
            return
        if self.state is State.BEGINNING:
            raise malformed(f"more than {PREFIX_BYTES} bytes before the purpose and the file")
        if self._held.size + len(chunk) > self._max_bytes:
            raise AdmissibilityError(
                Reason.BODY_INCOMPLETE, f"a batch file has at most {self._max_bytes} bytes"
            )
        raise AdmissibilityError(Reason.OVERLOADED, "too many batch files at once")

    async def _end(self) -> None:
        if self.state is State.BEGINNING:
            raise malformed("the form has no purpose")
        if self._files != 1:
            raise malformed("the form has no file")
        if self.state is State.READING:
            await self._lines_in(self._lines.close())
            await self._judge(self._lines.calls)
            self.calls = tuple(self._lines.calls)
            self.state = State.ADMITTED


def _boundary(request: HttpRequest) -> str:
    if [name for name, _ in request.headers].count("content-type") != 1:
        raise malformed("not exactly one Content-Type")
    if (request.header("content-encoding") or "identity").strip().lower() != "identity":
        raise AdmissibilityError(Reason.UNSUPPORTED_ENCODING, "Content-Encoding is not identity")
    try:
        return multipart.boundary_of(request.header("content-type") or "")
    except multipart.MultipartError as error:
        raise malformed(str(error)) from error
