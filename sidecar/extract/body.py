"""Returns exactly the body bytes that the upstream receives, or refuses the request.

Envoy can send the gate a prefix (``allow_partial_message``) or a sanitized string (``pack_as_bytes:
false``) while it forwards other bytes upstream. A prefix differs from Content-Length. A sanitized
string has ``!`` in place of each byte that is not UTF-8, so its length is right, and only a string
without ``!`` is known to equal the bytes.
"""

from __future__ import annotations

from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.refusals import ambiguous, malformed
from sidecar.extract.http_request import PARTIAL_BODY, HttpRequest

_REPAIRED = "!"

SUBPROTOCOLS = "sec-websocket-protocol"
_PLAIN = frozenset({"realtime", "openai-beta.realtime-v1"})
"""Subprotocols that name an API. Browsers, which cannot send headers, put a key, an organization
or a project there, by which another account is used (OpenAI, "Realtime API with WebSocket")."""


def body_of(request: HttpRequest, *, max_bytes: int) -> bytes:
    """Return the request's whole body.

    Args:
        request: The request.
        max_bytes: The most bytes that a body may have.

    Raises:
        AdmissibilityError: ``body_incomplete`` (413), ``unsupported_encoding`` (415), or
            ``malformed_request`` if the bytes are not known to be exact.
    """
    if request.header(PARTIAL_BODY) not in (None, "false"):
        raise AdmissibilityError(
            Reason.BODY_INCOMPLETE, "Envoy sent the gate only a prefix of the body"
        )
    _check_encoding(request)
    length = _content_length(request.header("content-length"))
    body = request.raw_body or _exact_text(request.text_body, length)
    _check_size(body, length, max_bytes)
    return body


def check_bytes(body: bytes, content_length: str | None, *, max_bytes: int) -> None:
    """Check the bytes of a body as ``body_of``, where it checked all else of such a request before.

    Args:
        body: The body's bytes.
        content_length: The value of ``content-length``; ``None`` without one.
        max_bytes: The most bytes that a body may have.

    Raises:
        AdmissibilityError: As ``body_of``.
    """
    _check_size(body, _content_length(content_length), max_bytes)


def _check_size(body: bytes, length: int | None, max_bytes: int) -> None:
    if len(body) > max_bytes:
        raise AdmissibilityError(
            Reason.BODY_INCOMPLETE,
            f"the body has {len(body)} bytes; at most {max_bytes} are allowed",
        )
    if length is not None and length != len(body):
        raise AdmissibilityError(
            Reason.BODY_INCOMPLETE,
            f"Envoy sent the gate {len(body)} bytes of the body; Content-Length is {length}",
        )


def refuse_upgrade(request: HttpRequest) -> None:
    """Refuse an upgrade request: Envoy sends it without its body, and does not mark that.

    Raises:
        AdmissibilityError: ``malformed_request``.
    """
    if request.header("upgrade") is not None or "upgrade" in _connection(request):
        raise malformed("this operation cannot be upgraded to another protocol")


def check_websocket(request: HttpRequest) -> None:
    """Require a WebSocket handshake without a body (RFC 6455, 4.1), and no other account's.

    Raises:
        AdmissibilityError: ``malformed_request``, ``ambiguous_model``.
    """
    upgrades = [value.strip().lower() for name, value in request.headers if name == "upgrade"]
    if upgrades != ["websocket"] or "upgrade" not in _connection(request):
        raise malformed(
            "this operation needs a WebSocket handshake: Upgrade:"
            " websocket, and Connection: Upgrade"
        )
    length = request.header("content-length")
    coming = request.header("transfer-encoding") is not None or length not in {None, "0"}
    if coming or request.raw_body or request.text_body:
        raise malformed("a WebSocket handshake has no body")
    if not _tokens(request, SUBPROTOCOLS) <= _PLAIN:
        raise ambiguous(
            f"{SUBPROTOCOLS} may only be {', '.join(sorted(_PLAIN))}: another one could make a"
            " server use another account; leave it out"
        )


def _connection(request: HttpRequest) -> set[str]:
    return _tokens(request, "connection")


def _tokens(request: HttpRequest, header: str) -> set[str]:
    return {
        token.strip().lower()
        for name, value in request.headers
        if name == header
        for token in value.split(",")
    }


def _check_encoding(request: HttpRequest) -> None:
    encoding = request.header("content-encoding")
    if encoding is not None and encoding.strip().lower() != "identity":
        raise AdmissibilityError(
            Reason.UNSUPPORTED_ENCODING, "Content-Encoding must be identity or absent"
        )
    transfer = request.header("transfer-encoding")
    if transfer is None:
        return
    if transfer.strip().lower() != "chunked" or request.header("content-length") is not None:
        raise malformed("Transfer-Encoding must be chunked, and Content-Length absent beside it")


def _content_length(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise malformed("Content-Length must be a decimal number of at most 18 digits")
    return int(text)


def _exact_text(text: str, length: int | None) -> bytes:
    if not text:
        return b""
    body = text.encode()
    if length != len(body) or _REPAIRED in text:
        raise malformed(
            "Envoy sent the body as text, which may differ from its"
            " bytes; have the operator set pack_as_bytes"
        )
    return body
