"""Parses the headers of a form and of its parts (RFC 7578 §4), in a small grammar.

Clients send a small part of what RFC 2046, 2231 and 5987 allow, and parsers differ in the rest:
quoting inside names, extended and continued parameters, folded lines, encodings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header
from urllib.parse import unquote

from sidecar.core.strict_json import fold

UTF8 = re.compile(r"utf-8", re.I | re.A)

_NAME = r"[A-Za-z0-9_-]{1,64}(?:\[[A-Za-z0-9_.:-]{0,64}\]){0,4}"
_QUOTED_FILE = r'(?:[^"\\]|\\[^\x00-\x1f]){1,1024}'
_DISPOSITION = re.compile(
    rf'form-data; name=(?:"(?P<name>{_NAME})"|(?P<token>[A-Za-z0-9_-]{{1,64}}))'
    rf'(?:; filename=(?:"(?P<file>{_QUOTED_FILE})"|(?P<filetoken>[A-Za-z0-9._-]{{1,1024}}))'
    r"(?:; filename\*=(?:utf|UTF)-8''(?P<again>[A-Za-z0-9!#$&+.^_`|~%-]{1,3072}))?)?"
)
_ESCAPED = re.compile(r'\\(["\\])')
_FAKE_NAME = re.compile(r"(?:^|[;,\"\s])\s*(?:file)?name\*?[0-9*]*\s*=", re.I)
"""Text in a file name by which a parser that searches for ``name=`` reads another field name."""
_ENCODED_WORD = re.compile(r"=\?utf-8\?[bq]\?[!->@-~]+\?=", re.I | re.A)
_UNCHANGED = frozenset({"7bit", "8bit", "binary"})
"""Transfer encodings (RFC 2045 §6.2) under which the data is what the bytes are."""
_HEADERS = frozenset(
    {"content-disposition", "content-type", "content-length", "content-transfer-encoding"}
)
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
        length: The part's Content-Length in bytes, which Spring and Ruby's multipart-post send;
            ``None`` without one.
    """

    name: str
    filename: str | None
    content_type: str | None
    length: int | None = None


def begin_of(block: bytes) -> PartBegin:
    """Parse the headers of one part.

    Args:
        block: The header lines, without the empty line that ends them.

    Raises:
        MultipartError: They are outside the grammar.
    """
    found = _headers(block)
    disposition, content_type = found.get("content-disposition"), found.get("content-type")
    encoding, length = found.get("content-transfer-encoding"), found.get("content-length")
    if encoding is not None and encoding.lower() not in _UNCHANGED:
        raise MultipartError(
            f"a part's Content-Transfer-Encoding is {encoding[:32]!a}, which changes its data;"
            " send the part as it is, without that header"
        )
    match = None if disposition is None else _DISPOSITION.fullmatch(disposition)
    if match is None or _FAKE_NAME.search(match["file"] or ""):
        raise MultipartError(
            "a part's Content-Disposition is not form-data with a plain name and filename"
        )
    if content_type is not None:
        _check_type(content_type)
    name = match["name"] or match["token"]
    if fold(name) == "_charset_":
        raise MultipartError("the field _charset_ would change how the others are read")
    filename = match["file"] or match["filetoken"]
    if match["again"] is not None:
        _check_extended(filename, match["again"])
    return PartBegin(name, filename, content_type, None if length is None else int(length))


def _headers(block: bytes) -> dict[str, str]:
    """Parse a part's header lines; names in lower case."""
    found: dict[str, str] = {}
    for line in block.split(b"\r\n"):
        name, value = _header(line)
        good = name != "content-length" or _LENGTH.fullmatch(value)
        if name not in _HEADERS or name in found or not good:
            raise MultipartError(
                "a part must have one Content-Disposition and at most one Content-Type,"
                " Content-Length and Content-Transfer-Encoding, and no other header; found"
                f" {name[:64]!a}"
            )
        found[name] = value
    return found


def _check_extended(filename: str, extended: str) -> None:
    """Compare a file name with its extended form (RFC 5987), which .NET and Spring send beside it.

    The plain one may be an encoded word (RFC 2047), or any fallback for characters beyond ASCII.
    """
    try:
        name = unquote(extended, errors="strict")
        same = name in {_ESCAPED.sub(r"\1", filename), _decoded(filename)} or not name.isascii()
    except (ValueError, HeaderParseError):
        same = False
    if not same:
        raise MultipartError("a part has two different filenames")


def _decoded(filename: str) -> str | None:
    """Decode an ``encoded-word`` (RFC 2047 §2); return ``None`` for anything else."""
    if not _ENCODED_WORD.fullmatch(filename):
        return None
    ((data, _),) = decode_header(filename)
    return data.decode("utf-8") if isinstance(data, bytes) else data


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
    if len(charsets) > 1 or not all(UTF8.fullmatch(charset) for charset in charsets):
        raise MultipartError("a part's charset is not UTF-8")
