"""Sends one HTTP request with bounds on time and size, without proxy, redirect or retry."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SECONDS = 3.0
MAX_BYTES = 8 << 20


class NoAnswerError(Exception):
    """No HTTP response was received; the message is one short line."""


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """The address of an HTTP server.

    Attributes:
        host: Name or address; for a Unix socket, its path.
        port: Its port; ``None`` for a Unix socket.
        tls: TLS settings; ``None`` for plain HTTP.
    """

    host: str
    port: int | None
    tls: ssl.SSLContext | None = field(default=None, compare=False)

    def __str__(self) -> str:
        if self.port is None:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP response; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - whatever was answered
        """Parse the body as JSON.

        Raises:
            NoAnswerError: It is not JSON.
        """
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise NoAnswerError("the answer is not JSON") from error


def ask(
    place: HttpAddress,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Reply:
    """Send one request and return the response.

    Raises:
        NoAnswerError: No response in time, or one that is not HTTP.
    """
    connection = _connection(place)
    try:
        connection.request(method, path, body=body, headers=dict(headers or {}))
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, found, answer.read(MAX_BYTES))
    except TimeoutError as error:
        raise NoAnswerError(f"{place}: no answer within {SECONDS:.0f} s") from error
    except OSError as error:
        raise NoAnswerError(f"{place}: {error.strerror or error}") from error
    except http.client.HTTPException as error:
        raise NoAnswerError(f"{place}: no HTTP ({type(error).__name__})") from error
    finally:
        connection.close()


def _connection(place: HttpAddress) -> http.client.HTTPConnection:
    if place.port is None:
        return _UnixConnection(place.host)
    if place.tls is not None:
        return http.client.HTTPSConnection(
            place.host, place.port, timeout=SECONDS, context=place.tls
        )
    return http.client.HTTPConnection(place.host, place.port, timeout=SECONDS)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self._path)
