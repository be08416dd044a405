"""Fetches small static files over HTTPS: bounded in size and time, without redirects.

Everything that a server can do wrong ends in one ``SourceError`` that names the file. Certificates,
keys and the token are read again when they change, since they are rotated while the gate runs.
"""

from __future__ import annotations

import http.client
import random
import socket
import ssl
import threading
import time
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from sidecar.tls.validity import not_in_force
from sidecar.trust.http_connection import Connection, HttpLimits, Proxy
from sidecar.trust.source import SourceError, SourceMissingError
from sidecar.trust.source_config import ENVIRONMENT, HttpsSourceConfig

LIMITS = HttpLimits()
_CHUNK = 1 << 16
_MAX_TOKEN = 1 << 14
_MAX_ETAG = 256
_MISSING = frozenset({403, 404, 410})
"""Statuses of a missing file; object stores answer 403 to clients that may not list."""
_SETTLED = timedelta(seconds=2)
"""Age of a file, by its server's clock, after which its next change has another date."""
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})

_Stamps = tuple[tuple[int, int, int], ...]


class _AgainError(Exception):
    """An attempt failed, perhaps for a moment only; the text states how."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A file, or that it did not change.

    Attributes:
        data: Its bytes; None for 304.
        etag: Of the bytes, to be sent with the next request; None where there is none to use.
        waits: Whether the server applies the preference to wait for a change.
    """

    data: bytes | None
    etag: str | None
    waits: bool = False


class HttpClient:
    """Fetches from one folder of one server; for one thread at a time.

    Args:
        config: Where, and how the two authenticate.
        limits: See ``HttpLimits``.
    """

    def __init__(self, config: HttpsSourceConfig, limits: HttpLimits = LIMITS) -> None:
        parts = urlsplit(config.url)
        self._config = config
        self.limits = limits
        self._host = parts.hostname or ""
        self._port = parts.port or http.client.HTTPS_PORT
        self._path = quote(parts.path, safe="/%:@!$&'()*+,;=~")
        self._connection: Connection | None = None
        self._stamps: _Stamps = ()
        self._stop = threading.Event()

    def stop_with(self, stop: threading.Event) -> None:
        """End attempts soon after ``stop`` is set."""
        self._stop = stop

    def close(self) -> None:
        """Close the connection; the next request makes another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(
        self, name: str, max_bytes: int, etag: str | None = None, wait: int | None = None
    ) -> Answer:
        """Fetch a file.

        Args:
            name: Path below the folder, already checked.
            max_bytes: The most that is read.
            etag: Of the bytes that the caller has; the answer may be that they are current.
            wait: Seconds for which the server may hold the answer until they are not.

        Raises:
            SourceMissingError: The server answered that there is no such file.
            SourceError: Anything else.
        """
        until = time.monotonic() + self.limits.total
        attempt = 1
        while True:
            try:
                return self._attempt(name, max_bytes, etag, until, wait)
            except _AgainError as error:
                self.close()
                left = until - time.monotonic()
                # Spread, so that many gates do not come back to a server at one moment.
                pause = random.uniform(0, self.limits.pause * 2 ** (attempt - 1))  # noqa: S311
                if attempt >= self.limits.attempts or left <= pause or self._stop.wait(pause):
                    raise SourceError(f"{name}: {error}") from error
                attempt += 1
            except SourceMissingError:
                raise
            except BaseException:
                self.close()
                raise

    def _attempt(
        self, name: str, max_bytes: int, etag: str | None, until: float, wait: int | None
    ) -> Answer:
        headers = self._headers(etag)
        if wait is not None:
            headers["Prefer"] = f"wait={wait}"
        connection = self._connected(name)
        try:
            with connection.watched(until, self._stop):
                connection.request("GET", f"{self._path}/{name}", headers=headers)
                answer = connection.getresponse()
                try:
                    return self._read(name, answer, max_bytes, etag)
                finally:
                    answer.close()
        except ssl.SSLCertVerificationError as error:
            text = f"the server's certificate: {error.verify_message}{self._expired()}"
            raise SourceError(f"{name}: {text}") from error
        except (OSError, http.client.HTTPException) as error:
            if time.monotonic() >= until:
                raise SourceError(f"{name}: not complete after {self.limits.total:g} s") from error
            raise _AgainError(_reason(error) + self._expired()) from error

    def _expired(self) -> str:
        """Return which of our own files have a certificate that is not in force.

        A server that refuses one may only close the connection, as TLS 1.3 has it.
        """
        own = (self._config.ca, self._config.certificate)
        return not_in_force((path for path in own if path is not None), datetime.now(UTC))

    def _read(
        self, name: str, answer: http.client.HTTPResponse, max_bytes: int, etag: str | None
    ) -> Answer:
        status = answer.status
        if status == http.client.NOT_MODIFIED and etag is not None:
            answer.read()
            return Answer(None, etag, _waits(answer))
        if status in _AGAIN:
            raise _AgainError(f"HTTP {status}")
        if status in _MISSING:
            if len(answer.read(_CHUNK)) == _CHUNK:
                self.close()  # more is not read, so the connection cannot be used again
            raise SourceMissingError(f"{name} is not there (HTTP {status})")
        if status != http.client.OK:
            raise SourceError(f"{name}: HTTP {status}, not 200{_target(answer)}")
        encoding = answer.getheader("Content-Encoding", "identity").strip().lower()
        if encoding not in {"", "identity"}:
            # Refuse compression: a small answer could expand to a large one.
            raise SourceError(f"{name}: has a Content-Encoding, which was not asked for")
        data = bytearray()
        while chunk := answer.read1(_CHUNK):
            data += chunk
            if len(data) > max_bytes:
                raise SourceError(f"{name} is larger than {max_bytes} bytes")
        if answer.length:
            raise _AgainError("the answer was cut off")
        return Answer(bytes(data), _validator(answer), _waits(answer))

    def _headers(self, etag: str | None) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "admissibility-sidecar"}
        if etag is not None:
            headers["If-None-Match"] = etag
        if self._config.bearer is not None:
            headers["Authorization"] = f"Bearer {_token(self._config.bearer)}"
        return headers

    def _connected(self, name: str) -> Connection:
        """Return the connection, a new one where certificates or keys changed."""
        files = tuple(
            path
            for path in (self._config.ca, self._config.certificate, self._config.key)
            if path is not None
        )
        try:
            stamps = tuple(_stamp(path) for path in files)
            if self._connection is None or stamps != self._stamps:
                self.close()
                self._connection = Connection(
                    self._host, self._port, self._context(), self._proxy(), self.limits
                )
                self._stamps = stamps
        except (OSError, ValueError) as error:
            named = ", ".join(str(path) for path in files)
            raise SourceError(f"{name}: {named} cannot be used: {_reason(error)}") from error
        return self._connection

    def _context(self) -> ssl.SSLContext:
        ca = self._config.ca
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
        if self._config.certificate is not None and self._config.key is not None:
            # Without a callback OpenSSL would ask the terminal for a password.
            context.load_cert_chain(self._config.certificate, self._config.key, password="")
        return context

    def _proxy(self) -> Proxy | None:
        url = self._config.proxy
        if url == ENVIRONMENT:
            url = urllib.request.getproxies().get("https")
            if urllib.request.proxy_bypass(self._host):
                url = None
        if not url:
            return None
        return Proxy.of(url if "://" in url else f"http://{url}")


def _token(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_TOKEN + 1)
        token = text.decode("ascii").strip()
    except OSError as error:
        raise SourceError(f"{path}: the bearer token cannot be read: {_reason(error)}") from error
    except UnicodeDecodeError:
        token = ""
    if not token or len(text) > _MAX_TOKEN or not token.isprintable() or " " in token:
        raise SourceError(f"{path}: is not one bearer token of at most {_MAX_TOKEN} characters")
    return token


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _waits(answer: http.client.HTTPResponse) -> bool:
    return (answer.getheader("Preference-Applied") or "").startswith("wait=")


def _validator(answer: http.client.HTTPResponse) -> str | None:
    """Return a validator that no later content of the file has, and that can be sent back.

    nginx makes an ETag of the size and the *second* of the last change, so that a file which is
    replaced within a second keeps it (RFC 9110 §8.8.2.2 calls such a validator weak). So none is
    used where the file may yet change in the second that it states.
    """
    etag, modified = answer.getheader("ETag"), answer.getheader("Last-Modified")
    if etag is None or len(etag) > _MAX_ETAG or not (etag.isascii() and etag.isprintable()):
        return None
    if modified is None:
        return etag
    try:
        since = parsedate_to_datetime(modified)
        sent = parsedate_to_datetime(answer.getheader("Date", ""))
        settled = sent - since >= _SETTLED
    except (ValueError, TypeError):  # TypeError: one has a time zone, the other has none
        return None
    return etag if settled else None


def _target(answer: http.client.HTTPResponse) -> str:
    target = answer.getheader("Location")
    return "" if target is None else f" (to {target:.200}; give that URL if you trust it)"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, TimeoutError):
        return "the server did not answer in time"
    if isinstance(error, socket.gaierror):
        return "the host's name cannot be resolved"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return type(error).__name__
