"""Parses a form's boundary (RFC 2046 §5.1.1), and guards it against parsers that shorten it.

A boundary may contain ``'()+_,-./:=?`` and inner spaces. Of ``boundary="a,b"`` some servers read
``a`` (rack ends it at a comma), and ``split("=")`` returns what is between two equals signs. A
server that reads a shorter boundary finds other parts, if the form has lines for them. So the data
of a form must not contain a line that is a delimiter of any shorter boundary.
"""

from __future__ import annotations

import re

from sidecar.extract.form_headers import UTF8, MultipartError

MAX_CONTENT_TYPE_CHARS = 512

# Characters are listed, never excluded: parsers differ in which characters are whitespace.
_QUOTED, _BARE = r'"([ !#-\[\]-~]+)"', r"([!#-:<-\[\]-~]+)"
_PARAMETER = re.compile(rf"; *([A-Za-z]+)=(?:{_QUOTED}|{_BARE}) *", re.A)
_CONTENT_TYPE = re.compile(rf"multipart/form-data *((?:{_PARAMETER.pattern})*)", re.I | re.A)
_MARKS = "'()+_,./:=?-"
BOUNDARY = re.compile(rf"[0-9A-Za-z {_MARKS}]{{0,69}}[0-9A-Za-z{_MARKS}]")
_UNQUOTED = re.compile(r"[0-9A-Za-z+_.-]{1,70}")
_CUT = re.compile(r"[^0-9A-Za-z+_.-]")

_BEGINS = (b"\n--", b"\r--")
_LINE = re.compile(rb"--([^\r\n]*)")
_PADDING = b" \t"
_LONGEST = 80
"""Longest line in bytes that is looked at; a delimiter has at most 76, padding aside."""

MAX_LINES = 4096
"""Most lines of a form that begin with two dashes where its boundary has shorter ones: each is
looked at, and 26 MiB of them took four seconds."""


def boundary_of(content_type: str) -> str:
    """Parse the boundary from a request's Content-Type.

    Args:
        content_type: The header's value.

    Raises:
        MultipartError: Another media type; no boundary, two, or one outside the grammar; a charset
            other than UTF-8; any further parameter.
    """
    match = _CONTENT_TYPE.fullmatch(content_type)
    if match is None or len(content_type) > MAX_CONTENT_TYPE_CHARS:
        raise MultipartError("Content-Type must be multipart/form-data; boundary=BOUNDARY")
    found: dict[str, tuple[str, str]] = {}
    for key, quoted, bare in _PARAMETER.findall(match.group(1)):
        name = key.lower()
        if name in found or name not in {"boundary", "charset"}:
            raise MultipartError(
                f"Content-Type may have the parameters boundary and charset, once each, not {name}"
            )
        found[name] = (quoted, bare)
    if not UTF8.fullmatch("".join(found.get("charset", ("utf-8",)))):
        raise MultipartError("the form's charset is not UTF-8")
    quoted, bare = found.get("boundary", ("", ""))
    if not (BOUNDARY.fullmatch(quoted) or _UNQUOTED.fullmatch(bare)):
        raise MultipartError(
            "Content-Type has no boundary of 1 to 70 characters of RFC 2046; other characters"
            " than letters, digits, '+', '_', '.' and '-' need double quotes around the boundary"
        )
    return quoted or bare


class ShortDelimiters:
    """Finds lines that are delimiters of a shorter boundary, in constant memory.

    Args:
        boundary: The form's boundary.
    """

    def __init__(self, boundary: str) -> None:
        cuts = [match.start() for match in _CUT.finditer(boundary)]
        starts, ends = [0, *(cut + 1 for cut in cuts)], [*cuts, len(boundary)]
        self._shorter = {
            boundary[start:end].encode("ascii") for start in starts for end in ends if start < end
        } - {boundary.encode("ascii")}
        self._line = b""
        self._left = MAX_LINES

    def begin(self) -> None:
        """Begin the data of a part, which begins a line."""
        self._line = b"\n"

    def feed(self, data: bytes | memoryview) -> None:
        """Search the next bytes of the part's data.

        Raises:
            MultipartError: A line is a delimiter of a shorter boundary, or too many could be one.
        """
        if not self._shorter:
            return
        text = self._line + bytes(data)
        for begin in _BEGINS:
            at = text.find(begin)
            while at >= 0:
                line = _LINE.match(text, at + 1)
                if line is not None and line.end() < len(text):
                    self._check(line[1])
                at = text.find(begin, at + 1)
        last = max(text.rfind(b"\n"), text.rfind(b"\r"), 0)
        self._line = _shortened(text[last:])

    def end(self) -> None:
        """End the data of a part, which ends its last line.

        Raises:
            MultipartError: As ``feed``.
        """
        self.feed(b"\n")

    def _check(self, line: bytes) -> None:
        self._left -= 1
        if self._left < 0:
            raise MultipartError(
                f"the form has more than {MAX_LINES} lines that begin with two dashes, of which a"
                " parser that shortens the boundary could take one for a delimiter; use a boundary"
                " of letters and digits alone"
            )
        text = line.rstrip(_PADDING)
        if {text.strip(b'"'), text.removesuffix(b"--").strip(b'"')} & self._shorter:
            raise MultipartError(
                "a part's data has a line that is the delimiter of a shorter boundary, by which"
                " some parsers would divide the form; send it with another boundary"
            )


def _shortened(line: bytes) -> bytes:
    """Return a line's beginning, its padding reduced to one space; longer ones are no delimiter."""
    text = line.rstrip(_PADDING)
    if len(text) > _LONGEST:
        return text[:_LONGEST]
    return line[: len(text) + 1]
