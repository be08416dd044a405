"""A real HTTPS server on the loopback for static files, which can be made to misbehave."""

from __future__ import annotations

import hashlib
import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from tests.support.http_listener import listening
from tests.support.simulator.svid import Issuer, pem

Request = tuple[str, int]
"""Path and status of an answered request."""


@dataclass
class HttpsServer:
    """The server, and what it was asked.

    Attributes:
        folder: Served as it is, with ETags.
        url: Of the folder.
        ca: PEM of the CA that signed its certificate.
        misbehave: Called first with each request; returns whether it has answered.
        answered: Requests that were answered by the rule.
        headers: Of the last request.
        released: Set when the server stops; what hangs waits for it.
    """

    folder: Path
    url: str
    ca: Path
    misbehave: Callable[[http.server.BaseHTTPRequestHandler], bool] = lambda _: False
    answered: list[Request] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    released: threading.Event = field(default_factory=threading.Event)

    def behave(self) -> None:
        """Answer by the rule again, and let go what hangs."""
        self.misbehave = lambda _: False
        self.released.set()
        self.released = threading.Event()
        self.answered.clear()


def certificate(folder: Path, issuer: Issuer, name: str, now: datetime | None = None) -> Path:
    """Write a certificate for ``localhost`` with its key, in one PEM file; it holds for an hour."""
    made, key = issuer.x509_svid(now=now or datetime.now(UTC), dns=("localhost",))
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / name
    path.write_bytes(private + pem(made).encode())
    return path


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers for one server; ``context`` and ``served`` are set by its subclass."""

    context: ssl.SSLContext
    served: HttpsServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        # The handshake belongs to the connection's thread: one that hangs holds up no other.
        self.request = self.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.request.close()

    def do_GET(self) -> None:
        self.served.headers = dict(self.headers)
        if self.served.misbehave(self):
            self.close_connection = True
            return
        path = self.served.folder / self.path.lstrip("/")
        data = path.read_bytes() if path.is_file() else b""
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        status = 200 if path.is_file() else 404
        if status == 200 and self.headers["If-None-Match"] == etag:
            status, data = 304, b""
        self.served.answered.append((self.path, status))
        self.send_response(status)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        return


@contextmanager
def serving(
    folder: Path, *, client_ca: Path | None = None, issuer: Issuer | None = None
) -> Iterator[HttpsServer]:
    """Serve ``folder/files`` over TLS, with client certificates of ``client_ca`` if given."""
    files = folder / "files"
    files.mkdir(exist_ok=True)
    issuer = issuer or Issuer()
    ca = folder / "ca.pem"
    ca.write_text(pem(issuer.root(datetime.now(UTC))))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(folder, issuer, "server.pem"))
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    found = HttpsServer(files, "", ca)

    handler = type("Handler", (_Handler,), {"context": context, "served": found})
    with listening(handler, handle_error=lambda *_: None) as port:
        found.url = f"https://localhost:{port}"
        try:
            yield found
        finally:
            found.behave()
