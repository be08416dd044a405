"""Parses multipart/form-data; a form that two parsers could parse differently is refused.

RFC 7578 leaves much to parsers: quoting inside names, extended parameters (RFC 5987), folded
headers, transfer encodings, preambles, line ends. Each was used to give a gateway one value and the
server behind it another (CVE-2026-53537, GHSA-vgpv-f759-9wx3). So the grammar is what clients send,
and nothing else:

    body  = 1*("--" boundary CRLF part CRLF) "--" boundary "--" [CRLF]
    part  = Content-Disposition with a name; at most a Content-Type, a Content-Length that is right
            and a Content-Transfer-Encoding that changes nothing; an empty line, data

``Parser`` reads a stream in constant memory; ``parse`` is the same parser over a whole body. A form
whose data contains the boundary's bytes is refused, so every parser finds the same ends of parts,
whether it searches for them with or without their dashes and line ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from sidecar.core.strict_json import fold
from sidecar.extract.form_boundary import BOUNDARY, ShortDelimiters, boundary_of
from sidecar.extract.form_headers import (
    AmbiguousFieldError,
    MultipartError,
    PartBegin,
    begin_of,
)
from sidecar.providers.overrides import nested_model

__all__ = [
    "LIMITS",
    "AmbiguousFieldError",
    "Event",
    "FormEnd",
    "Limits",
    "MultipartError",
    "Parser",
    "Part",
    "PartBegin",
    "PartData",
    "PartEnd",
    "boundary_of",
    "fields",
    "parse",
    "refuse_twins",
]

_CRLF = b"\r\n"
_BRACKETS = re.compile(r"\[.*")
_WORDS = re.compile(r"[^][]+")
_JSON = re.compile(r"[a-z]+/(?:[a-z.-]+\+)?json", re.IGNORECASE)
_JSON_TEXT = re.compile(rb"[ \t\r\n]*[\[{]")
_JSON_MODEL = re.compile(rb'model[a-z_]*"|\\u', re.IGNORECASE)
_MODEL = "model"
_OTHER_LENGTH = "a part's Content-Length is not that of its data"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is parsed.

    Attributes:
        header_bytes: Bytes of the headers of one part.
        parts: Parts of one form.
        text_bytes: Bytes of one text field; ``None`` without a bound, where the whole form has one.
            Files are not buffered and have no bound of their own.
    """

    header_bytes: int = 8 << 10
    parts: int = 128
    text_bytes: int | None = 64 << 10


MAX_VALUE_BYTES = 64 << 10
"""Longest value in bytes of a field that the gate interprets, as a model or as a flag."""

LIMITS = Limits()
WHOLE = Limits(text_bytes=None)
"""Bounds where the whole form is in memory already, so that its fields need none of their own."""


@dataclass(frozen=True, slots=True)
class PartData:
    """The next bytes of the part, never empty; a view of the input, to be copied if kept."""

    data: memoryview


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part has ended."""


@dataclass(frozen=True, slots=True)
class FormEnd:
    """The last part has ended. Only ``Parser.close`` checks that nothing follows."""


Event = PartBegin | PartData | PartEnd | FormEnd
_Step = Callable[[bytes, int, list[Event]], tuple[int, bool]]


@dataclass(frozen=True, slots=True)
class Part:
    """A whole part; ``value`` is a view of the body."""

    name: str
    filename: str | None
    content_type: str | None
    value: memoryview

    def text(self) -> str:
        """Decode the value as text.

        Raises:
            MultipartError: It is not UTF-8, or begins with a byte-order mark.
        """
        try:
            text = str(self.value, "utf-8")
        except UnicodeDecodeError as error:
            raise MultipartError(f"the field {self.name} is not UTF-8") from error
        if text.startswith("\ufeff"):
            raise MultipartError(f"the field {self.name} begins with a byte-order mark")
        return text


class Parser:
    """Parses a form incrementally.

    It buffers at most the headers of one part, or as many bytes as a boundary has. After an error
    it refuses all further input.

    Args:
        boundary: From ``boundary_of``.
        limits: Bounds on what is parsed.

    Raises:
        MultipartError: The boundary is outside the grammar.
    """

    def __init__(self, boundary: str, limits: Limits = LIMITS) -> None:
        if not BOUNDARY.fullmatch(boundary):
            raise MultipartError("not a boundary of 1 to 70 characters of RFC 2046")
        self._delimiter = b"--" + boundary.encode("ascii")
        self._short = ShortDelimiters(boundary)
        self._limits = limits
        self._rest = b""
        self._parts = 0
        self._name = ""
        self._room: int | None = None
        self._due: int | None = None
        self._step: _Step = self._opening

    def feed(self, data: bytes) -> list[Event]:
        """Parse the next bytes.

        Args:
            data: The next bytes, split anywhere.

        Returns:
            The events; bytes that may be part of a boundary are kept for the next call.

        Raises:
            MultipartError: The form is outside the grammar, or over a limit.
        """
        buffer = self._rest + data if self._rest else data
        events: list[Event] = []
        at, going = 0, True
        try:
            while going:
                at, going = self._step(buffer, at, events)
        except MultipartError:
            self._step, self._rest = _refused, b""
            raise
        self._rest = buffer[at:]
        return events

    def close(self) -> None:
        """End the input.

        Raises:
            MultipartError: The form is not complete.
        """
        if self._step != self._epilogue or self._rest not in {b"", _CRLF}:
            raise MultipartError("the form does not end with its boundary")

    def _opening(self, buffer: bytes, at: int, _: list[Event]) -> tuple[int, bool]:
        wanted = self._delimiter
        if not wanted.startswith(buffer[: len(wanted)]):
            raise MultipartError("the form does not begin with its boundary")
        if len(buffer) < len(wanted):
            return at, False
        self._step = self._delimited
        return len(wanted), True

    def _delimited(self, buffer: bytes, at: int, events: list[Event]) -> tuple[int, bool]:
        """Parse what follows ``--boundary``: a line end, or the form's end."""
        mark = buffer[at : at + 2]
        if len(mark) < 2 and mark in {b"", b"\r", b"-"}:
            return at, False
        if mark == _CRLF:
            if self._parts == self._limits.parts:
                raise MultipartError(f"more than {self._limits.parts} parts")
            self._parts += 1
            self._step = self._headers
        elif mark == b"--" and self._parts:
            events.append(FormEnd())
            self._step = self._epilogue
        else:
            raise MultipartError("the boundary is not followed by a part, or the form has no part")
        return at + 2, True

    def _headers(self, buffer: bytes, at: int, events: list[Event]) -> tuple[int, bool]:
        bound = self._limits.header_bytes
        end = buffer.find(b"\r\n\r\n", at, at + bound)
        if end < 0:
            if len(buffer) - at >= bound:
                raise MultipartError(f"a part's headers have more than {bound} bytes")
            return at, False
        block = buffer[at:end]
        if self._delimiter in block:
            raise MultipartError("a part's headers contain the boundary")
        begin = begin_of(block)
        events.append(begin)
        self._short.begin()
        self._name = begin.name
        self._room = self._limits.text_bytes if begin.filename is None else None
        self._due = begin.length
        self._step = self._data
        return end + 4, True

    def _data(self, buffer: bytes, at: int, events: list[Event]) -> tuple[int, bool]:
        boundary = self._delimiter[2:]
        found = buffer.find(boundary, at)
        if found < 0:
            # The last bytes may be the line end, the dashes and the beginning of a boundary.
            end = max(at, len(buffer) - len(boundary) - 3)
            self._pass(buffer, at, end, events)
            return end, False
        end = found - 4
        if end < at or buffer[end:found] != b"\r\n--":
            raise MultipartError("a part's data contains the boundary's characters")
        self._pass(buffer, at, end, events)
        self._short.end()
        if self._due:
            raise MultipartError(_OTHER_LENGTH)
        events.append(PartEnd())
        self._step = self._delimited
        return found + len(boundary), True

    def _pass(self, buffer: bytes, at: int, end: int, events: list[Event]) -> None:
        if self._room is not None:
            self._room -= end - at
            if self._room < 0:
                raise MultipartError(
                    f"the field {self._name} has more than {self._limits.text_bytes} bytes, the"
                    " limit for a text field of this operation"
                )
        if self._due is not None:
            self._due -= end - at
            if self._due < 0:
                raise MultipartError(_OTHER_LENGTH)
        if end > at:
            self._short.feed(memoryview(buffer)[at:end])
            events.append(PartData(memoryview(buffer)[at:end]))

    def _epilogue(self, buffer: bytes, at: int, _: list[Event]) -> tuple[int, bool]:
        if not _CRLF.startswith(buffer[at : at + 3]):
            raise MultipartError("the form has bytes after its last boundary")
        return at, False


def _refused(_buffer: bytes, _at: int, _events: list[Event]) -> tuple[int, bool]:
    raise MultipartError("the form was refused already")


def parse(content_type: str, body: bytes, limits: Limits = WHOLE) -> tuple[Part, ...]:
    """Parse a whole form.

    Args:
        content_type: The value of the request's Content-Type.
        body: The request's body.
        limits: Bounds on what is parsed.

    Returns:
        Every part in order; a name may occur more than once.

    Raises:
        MultipartError: The body is outside the grammar, or over a limit.
    """
    parser = Parser(boundary_of(content_type), limits)
    events = parser.feed(body)
    parser.close()
    parts: list[Part] = []
    begin, value = PartBegin("", None, None), memoryview(b"")
    for event in events:
        if isinstance(event, PartBegin):
            begin, value = event, memoryview(b"")
        elif isinstance(event, PartData):
            value = event.data  # a single event, because the body was fed at once
        elif isinstance(event, PartEnd):
            parts.append(Part(begin.name, begin.filename, begin.content_type, value))
    return tuple(parts)


def fields(
    parts: Iterable[Part], wanted: Iterable[str], long: Collection[str] = ()
) -> Mapping[str, str]:
    """Return the text of a form's wanted fields.

    Args:
        parts: From ``parse``.
        wanted: Exact names of the fields.
        long: Those of them that may have more than ``MAX_VALUE_BYTES``, as prompts have.

    Returns:
        The text of each wanted field that is present.

    Raises:
        AmbiguousFieldError: A wanted field occurs twice or as a file, a twin of it is present, or
            another field names a model (``svg[model]``) or is JSON.
        MultipartError: A field's text is not UTF-8, or is too long for what it is.
    """
    names = frozenset(wanted)
    parts = tuple(parts)
    refuse_twins((part.name for part in parts), names)
    found: dict[str, str] = {}
    for part in parts:
        if part.name not in names:
            _refuse_unread(part)
            continue
        if part.name in found:
            raise AmbiguousFieldError(f"the field {part.name} occurs twice")
        if part.filename is not None:
            raise AmbiguousFieldError(f"the field {part.name} is a file")
        if len(part.value) > MAX_VALUE_BYTES and part.name not in long:
            raise MultipartError(
                f"the field {part.name} has {len(part.value)} bytes; at most {MAX_VALUE_BYTES}"
                " are read"
            )
        found[part.name] = part.text()
    return found


def _refuse_unread(part: Part) -> None:
    """Refuse a field that could name a model: ``svg[model]``, or a part that may be JSON."""
    if any(fold(word) == _MODEL or nested_model(word) for word in _WORDS.findall(part.name)):
        raise AmbiguousFieldError(
            f"the field {part.name} could name a model, and this operation does not read it"
        )
    if part.filename is not None:
        return
    looks = _JSON_TEXT.match(part.value) is not None
    if _JSON.match(part.content_type or "") and not looks:
        raise AmbiguousFieldError(f"the field {part.name} is JSON, which could name a model")
    if looks and (_JSON_MODEL.search(part.value) or not part.value.tobytes().isascii()):
        raise AmbiguousFieldError(f"the field {part.name} reads as JSON that names a model")


def refuse_twins(names: Iterable[str], wanted: Iterable[str]) -> None:
    """Refuse a name that some server would treat as one of ``wanted``.

    Some fold case, and some treat ``model[]`` or ``model[0]`` as a list named ``model``.

    Raises:
        AmbiguousFieldError: A twin is present.
    """
    exact = frozenset(wanted)
    stems = {_stem(name) for name in exact}
    for name in names:
        if name not in exact and _stem(name) in stems:
            raise AmbiguousFieldError(f"the field {name} is a twin of one that is read")


def _stem(name: str) -> str:
    return fold(_BRACKETS.sub("", name)).replace("-", "_")
