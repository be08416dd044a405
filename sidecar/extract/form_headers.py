"""Parses the headers of a form and of its parts (RFC 7578 §4), in a small grammar.

Clients send a small part of what RFC 2046, 2231 and 5987 allow, and parsers differ in the rest:
quoting inside names, extended and continued parameters, folded lines, encodings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from sidecar.core.strict_json import fold

MAX_CONTENT_TYPE_CHARS = 512

# Characters are listed, never excluded: parsers differ in which characters are whitespace.
_QUOTED, _BARE = r'"([!#-\[\]-~]+)"', r"([!#-:<-\[\]-~]+)"
_PARAMETER = re.compile(rf"; *([A-Za-z]+)=(?:{_QUOTED}|{_BARE}) *", re.A)
_CONTENT_TYPE = re.compile(rf"multipart/form-data *((?:{_PARAMETER.pattern})*)", re.I | re.A)
BOUNDARY = re.compile(r"[0-9A-Za-z+_.-]{1,70}")
_UTF8 = re.compile(r"utf-8", re.I | re.A)

_NAME = r"[A-Za-z0-9_-]{1,64}(?:\[[A-Za-z0-9_.:-]{0,64}\]){0,4}"
_DISPOSITION = re.compile(
    rf'form-data; name=(?:"(?P<name>{_NAME})"|(?P<token>[A-Za-z0-9_-]{{1,64}}))'
    r'(?:; filename=(?:"(?P<file>[^"\\]{1,1024})"|(?P<filetoken>[A-Za-z0-9._-]{1,1024}))'
    r"(?:; filename\*=(?:utf|UTF)-8''(?P<again>[A-Za-z0-9!#$&+.^_`|~%-]{1,3072}))?)?"
)
"""A filename may be repeated in its extended form (RFC 5987), as .NET does, if it is the same."""
_PLAIN = r"[A-Za-z0-9!#$&^_.+-]{1,127}"
_TYPE = re.compile(rf'({_PLAIN})/{_PLAIN}((?: *; *{_PLAIN}=(?:{_PLAIN}|"[^"\\]{{1,127}}"))*)')
_CHARSET = re.compile(r"; *charset(?:=\"?([^\";]*)\"?)?", re.I | re.A)
_TYPE_NAME = re.compile(r"; *name=", re.I | re.A)
_LENGTH = re.compile(r"0|[1-9][0-9]{0,18}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class MultipartError(ValueError):
    """The bytes are not a form that every parser parses to the same fields."""


class AmbiguousFieldError(MultipartError):
    """A parser could take a field for another that the gate reads."""


@dataclass(frozen=True, slots=True)
class PartBegin:
    """The beginning of a part.

    Attributes:
        name: Name of the field.
        filename: As sent; ``None`` for a text field.
        content_type: As sent; ``None`` if the part has none.
        length: The part's Content-Length in bytes, which OkHttp sends; ``None`` without one.
    """

    name: str
    filename: str | None
    content_type: str | None
    length: int | None = None


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
    found: dict[str, str] = {}
    for key, quoted, token in _PARAMETER.findall(match.group(1)):
        name = key.lower()
        if name in found or name not in {"boundary", "charset"}:
            raise MultipartError(
                f"Content-Type may have the parameters boundary and charset, once each, not {name}"
            )
        found[name] = quoted or token
    if not _UTF8.fullmatch(found.get("charset", "utf-8")):
        raise MultipartError("the form's charset is not UTF-8")
    boundary = found.get("boundary", "")
    if not BOUNDARY.fullmatch(boundary):
        raise MultipartError("Content-Type has no boundary of 1 to 70 plain characters")
    return boundary


def begin_of(block: bytes) -> PartBegin:
    """Parse the headers of one part.

    Args:
        block: The header lines, without the empty line that ends them.

    Raises:
        MultipartError: They are outside the grammar.
    """
    disposition = content_type = length = None
    for line in block.split(b"\r\n"):
        name, value = _header(line)
        if name == "content-disposition" and disposition is None:
            disposition = value
        elif name == "content-type" and content_type is None:
            content_type = value
        elif name == "content-length" and length is None and _LENGTH.fullmatch(value):
            length = int(value)
        else:
            raise MultipartError(
                "a part must have one Content-Disposition and at most one Content-Type and"
                f" Content-Length, and no other header; found {name[:64]!a}"
            )
    match = None if disposition is None else _DISPOSITION.fullmatch(disposition)
    if match is None:
        raise MultipartError(
            "a part's Content-Disposition is not form-data with a plain name and filename"
        )
    if content_type is not None:
        _check_type(content_type)
    name = match["name"] or match["token"]
    if fold(name) == "_charset_":
        raise MultipartError("the field _charset_ would change how the others are read")
    filename = match["file"] or match["filetoken"]
    if match["again"] is not None and unquote(match["again"], errors="replace") != filename:
        raise MultipartError("a part has two different filenames")
    return PartBegin(name, filename, content_type, length)


def _header(line: bytes) -> tuple[str, str]:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MultipartError("a part's headers are not UTF-8") from error
    name, colon, value = text.partition(":")
    if not colon or _CONTROL.search(text):
        raise MultipartError("a part's header is folded, has no colon, or has a control character")
    return name.lower(), value.lstrip(" ")


def _check_type(content_type: str) -> None:
    match = _TYPE.fullmatch(content_type)
    if match is None or match.group(1).lower() in {"multipart", "message"}:
        raise MultipartError(
            "a part's Content-Type must be TYPE/SUBTYPE with simple"
            " parameters, and not multipart or message"
        )
    if _TYPE_NAME.search(match.group(2)):
        raise MultipartError(
            "a part's Content-Type has the parameter name, by which"
            " some parsers take the part for a file"
        )
    charsets = _CHARSET.findall(match.group(2))
    if len(charsets) > 1 or not all(_UTF8.fullmatch(charset) for charset in charsets):
        raise MultipartError("a part's charset is not UTF-8")
