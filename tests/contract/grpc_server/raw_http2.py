"""A client of HTTP/2 that sends half of a call, or leaves in the middle (RFC 9113, RFC 7541)."""

from __future__ import annotations

import socket
import struct

from tests.contract.grpc_server.service import SERVICE

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS = 1, 4


def connect(port: int) -> socket.socket:
    """Return a connection on which streams 1, 3, 5, … may be opened."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b""))
    return connection


def half_sent(stream: int, method: str, *more: tuple[str, bytes]) -> bytes:
    """Return the headers of a call, whose request has not been sent, and more of them."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": f"/{SERVICE}/{method}",
        ":authority": "test",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    named = [*((name, value.encode("ascii")) for name, value in fields.items()), *more]
    block = b"".join(b"\0" + _text(name.encode("ascii")) + _text(value) for name, value in named)
    return _frame(_HEADERS, _END_HEADERS, stream, block)


def request(stream: int, message: bytes) -> bytes:
    """Return the one request of a call."""
    return _frame(_DATA, _END_STREAM, stream, struct.pack(">BI", 0, len(message)) + message)


def _text(value: bytes) -> bytes:
    return bytes([len(value)]) + value


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload
