"""Which bytes are the body: exactly those the upstream gets, or a refusal.

Envoy can hand over a prefix (``allow_partial_message``) or a repaired string (``pack_as_bytes:
false``) while it sends something else upstream. Content-Length is what betrays a prefix. A string
is betrayed by ``!``: Envoy writes one for each byte that is not UTF-8, so the length stays right
and only a string without any ``!`` is known to be the bytes themselves.
"""

from __future__ import annotations

from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.refusals import malformed
from sidecar.extract.http_request import PARTIAL_BODY, HttpRequest

_REPAIRED = "!"


def body_of(request: HttpRequest, *, max_bytes: int) -> bytes:
    """Return the request's whole body.

    Args:
        request: The request.
        max_bytes: The longest body that is read.

    Raises:
        AdmissibilityError: ``body_incomplete`` (413), ``unsupported_encoding`` (415), or
            ``malformed_request`` where the bytes are not known to be exact, or the connection
            would leave HTTP after this request.
    """
    if request.header(PARTIAL_BODY) not in (None, "false"):
        raise AdmissibilityError(Reason.BODY_INCOMPLETE, "only a part of the body was handed over")
    _check_encoding(request)
    length = _content_length(request)
    body = request.raw_body or _exact_text(request.text_body, length)
    if len(body) > max_bytes:
        raise AdmissibilityError(
            Reason.BODY_INCOMPLETE, f"the body has {len(body)} bytes, at most {max_bytes} are read"
        )
    if length is not None and length != len(body):
        raise AdmissibilityError(
            Reason.BODY_INCOMPLETE,
            f"{len(body)} bytes of the body were handed over, Content-Length says {length}",
        )
    return body


def refuse_upgrade(request: HttpRequest) -> None:
    """Refuse an upgraded request: it comes without its body and without a marker for that.

    Raises:
        AdmissibilityError: ``malformed_request``.
    """
    if request.header("upgrade") is not None or "upgrade" in _connection(request):
        raise malformed("this operation cannot be upgraded to another protocol")


def check_websocket(request: HttpRequest) -> None:
    """Hold a request to being the beginning of a WebSocket, and nothing else (RFC 6455, 4.1).

    Raises:
        AdmissibilityError: ``malformed_request``.
    """
    upgrades = [value.strip().lower() for name, value in request.headers if name == "upgrade"]
    if upgrades != ["websocket"] or "upgrade" not in _connection(request):
        raise malformed("this operation is a WebSocket")
    length = request.header("content-length")
    coming = request.header("transfer-encoding") is not None or length not in {None, "0"}
    if coming or request.raw_body or request.text_body:
        raise malformed("a WebSocket begins without a body")


def _connection(request: HttpRequest) -> set[str]:
    return {
        token.strip().lower()
        for name, value in request.headers
        if name == "connection"
        for token in value.split(",")
    }


def _check_encoding(request: HttpRequest) -> None:
    encoding = request.header("content-encoding")
    if encoding is not None and encoding.strip().lower() != "identity":
        raise AdmissibilityError(Reason.UNSUPPORTED_ENCODING, "Content-Encoding is not identity")
    transfer = request.header("transfer-encoding")
    if transfer is None:
        return
    if transfer.strip().lower() != "chunked" or request.header("content-length") is not None:
        raise malformed("Transfer-Encoding is not chunked alone, without a length")


def _content_length(request: HttpRequest) -> int | None:
    text = request.header("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise malformed("Content-Length is not a number")
    return int(text)


def _exact_text(text: str, length: int | None) -> bytes:
    if not text:
        return b""
    body = text.encode()
    if length != len(body) or _REPAIRED in text:
        raise malformed(
            "the body came as text, perhaps repaired: have the operator set pack_as_bytes"
        )
    return body
