"""Reads the form of a file upload, and buffers a batch file until all of it is admitted.

    purpose=batch, file      → buffered until every line of the file is admitted, then forwarded
    purpose=fine-tune, file  → forwarded; every later chunk is forwarded as it arrives
    file, purpose=…          → buffered until the purpose is known; then as above

Nothing is forwarded before the purpose is known. Go, .NET and Node's own example send the file
first: such a form is buffered up to the size of a batch file. Once the purpose is known the form is
still parsed to its end, so that a second purpose is found; the refusal then ends an incomplete
request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from enum import Enum

from sidecar.core.call import Call, Reference
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.refusals import ambiguous, malformed
from sidecar.ext_proc.buffer_budget import BufferBudget, BufferedChunks, pieces
from sidecar.extract import multipart
from sidecar.extract.batch_lines import Block, BlockReader, Lines
from sidecar.extract.http_request import HttpRequest
from sidecar.extract.multipart import Parser, PartBegin, PartData, PartEnd

PREFIX_BYTES = 64 << 10
"""Most bytes of the form before the purpose, unless the file begins before it."""

BATCH = "batch"
PURPOSES = frozenset({BATCH, "assistants", "evals", "fine-tune", "user_data", "vision"})
"""Purposes that a caller may give; an upstream could normalize another value to one of them."""

_PURPOSE, _FILE = "purpose", "file"
_READ = (_PURPOSE, _FILE)
_MAX_PURPOSE_BYTES = 64

Judge = Callable[[Mapping[Call, int], Mapping[Reference, int]], Awaitable[None]]
"""Admits every call of a file and every stored input, with the numbers of their first lines."""


class UploadState(Enum):
    """The state of an upload."""

    BEGINNING = "the purpose is not known"
    READING = "a batch file, buffered"
    PASSING = "any other purpose, forwarded"
    ADMITTED = "a batch file, forwarded"


class Upload:
    """Reads one upload.

    Args:
        request: The request's head.
        budget: Memory shared by all streams.
        max_bytes: Largest upload that is buffered, including the form.
        judge: Called once, with every call of a batch file.
        reader: Parses blocks of lines of a batch file.

    Raises:
        AdmissibilityError: The body is no form, or has a content encoding.
    """

    def __init__(
        self,
        request: HttpRequest,
        budget: BufferBudget,
        max_bytes: int,
        judge: Judge,
        reader: BlockReader,
    ) -> None:
        self.state = UploadState.BEGINNING
        self.calls: tuple[Call, ...] = ()
        self._boundary = _boundary(request)
        self._parser = Parser(self._boundary)
        self._held = BufferedChunks(budget, min(PREFIX_BYTES, max_bytes))
        self._max_bytes = max_bytes
        self._judge = judge
        self._reader = reader
        self._lines = Lines(request.provider, request.api)
        self._part: PartBegin | None = None
        self._purpose: bytearray | None = None
        self._files = 0
        self._file_first = False

    @property
    def begun(self) -> bool:
        """Return whether any of it was forwarded."""
        return self.state in {UploadState.PASSING, UploadState.ADMITTED}

    async def feed(self, chunk: bytes, *, last: bool) -> AsyncIterator[bytes]:
        """Read the next bytes of the body, and yield the bytes to forward now.

        Args:
            chunk: The next bytes.
            last: Whether they are the last.

        Raises:
            AdmissibilityError: The upload is refused.
        """
        beginning = self.state is UploadState.BEGINNING
        await self._read(chunk, last=last)
        if self.state is not UploadState.PASSING or (beginning and self._file_first):
            self._hold(chunk)
            chunk = b""
        if last:
            await self._end()
        if self.begun:
            for piece in self._held.release():
                yield piece
        if self.state is UploadState.PASSING:
            for piece in pieces(chunk):
                yield piece

    def drop(self) -> None:
        """Discard buffered bytes, where the stream ended early."""
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
            raise malformed(
                f"the form's file must be in the field {_FILE}, and that field must be a file"
            )
        if part.name == _PURPOSE:
            if self._purpose is not None:
                raise malformed("the purpose field occurs twice")
            self._purpose = bytearray()
        if is_file:
            self._files += 1
            if self._files > 1:
                raise malformed("the form has more than one file")
            if self.state is UploadState.BEGINNING:
                self._file_first = True
                self._held.widen(self._max_bytes)

    async def _data(self, data: memoryview) -> None:
        if self._part is None:
            return
        if self._part.name == _PURPOSE and self._purpose is not None:
            self._purpose += data
            if len(self._purpose) > _MAX_PURPOSE_BYTES:
                raise malformed(f"the purpose is not one of {', '.join(sorted(PURPOSES))}")
        elif self._part.name == _FILE and self.state is UploadState.READING:
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
            self.state = UploadState.READING
            self._held.widen(self._max_bytes)
        else:
            self.state = UploadState.PASSING

    def _hold(self, chunk: bytes) -> None:
        if self._held.add(chunk):
            return
        size = self._held.size + len(chunk)
        if self.state is UploadState.BEGINNING and not self._files and size > PREFIX_BYTES:
            raise malformed(
                f"the form has more than {PREFIX_BYTES} bytes before its purpose and its file;"
                " send the purpose field first"
            )
        if size > self._max_bytes:
            raise AdmissibilityError(Reason.BODY_INCOMPLETE, self._too_long())
        raise AdmissibilityError(
            Reason.OVERLOADED, "too many bytes of uploads are buffered; try again later"
        )

    def _too_long(self) -> str:
        if self.state is not UploadState.READING:
            return (
                f"the file comes before the purpose, and at most {self._max_bytes} bytes are"
                " buffered until the purpose is known; send the purpose field first"
            )
        return f"the upload of a batch file has more than {self._max_bytes} bytes; split the file"

    async def _end(self) -> None:
        if self.state is UploadState.BEGINNING:
            raise malformed("the form has no purpose field")
        if self._files != 1:
            raise malformed(f"the form has no file in the field {_FILE}")
        if self.state is UploadState.READING:
            if self._file_first:
                await self._read_held()
            await self._lines_in(self._lines.close())
            await self._judge(self._lines.calls, self._lines.inputs)
            self.calls = tuple(self._lines.calls)
            self.state = UploadState.ADMITTED

    async def _read_held(self) -> None:
        """Read the lines of a file that came before the purpose, from the buffered form."""
        parser, in_file = Parser(self._boundary), False
        for chunk in self._held.chunks():
            for event in parser.feed(chunk):
                if isinstance(event, PartBegin):
                    in_file = event.name == _FILE
                elif isinstance(event, PartData) and in_file:
                    await self._lines_in(self._lines.feed(bytes(event.data)))


def _boundary(request: HttpRequest) -> str:
    if [name for name, _ in request.headers].count("content-type") != 1:
        raise malformed("the request must have exactly one Content-Type header")
    if (request.header("content-encoding") or "identity").strip().lower() != "identity":
        raise AdmissibilityError(Reason.UNSUPPORTED_ENCODING, "Content-Encoding is not identity")
    try:
        return multipart.boundary_of(request.header("content-type") or "")
    except multipart.MultipartError as error:
        raise malformed(str(error)) from error
