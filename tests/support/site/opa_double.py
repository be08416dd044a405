"""A stand-in for OPA on a Unix socket, speaking its wire format, that answers what a test wants.

It is honest by default: it echoes the nonce and admits, so that every other answer is judged by
what is wrong with it and by nothing else.
"""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REVISION = "r-1"
Reply = tuple[int, bytes]


def honest(question: dict[str, Any]) -> dict[str, Any]:
    """The answer of an OPA that admits."""
    names = question["environment"]["jurisdictions"]
    return {
        "allow": True,
        "nonce": question["nonce"],
        "revision": REVISION,
        "violations": [],
        "warnings": [],
        "jurisdictions": {name: {"allow": True, "violations": []} for name in names},
        "lease_seconds": 5,
    }


def admitting(question: dict[str, Any]) -> Reply:
    """A whole, honest reply."""
    return 200, json.dumps({"result": honest(question)}).encode()


@dataclass(slots=True)
class OpaDouble:
    """What is answered, what was asked, and an event that slow answers wait for."""

    socket: Path
    answer: Callable[[dict[str, Any]], Reply] = admitting
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        """For ``sidecar.yaml``."""
        return f"unix://{self.socket}"


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    double: OpaDouble

    def handle_error(self, request: object, client_address: object) -> None:
        """A gate that hangs up on a slow answer is what these tests want."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._reply(200, b"{}")

    def do_POST(self) -> None:
        double = self.server.double
        question = json.loads(self.rfile.read(int(self.headers["content-length"])))["input"]
        double.asked.append((self.path, question))
        self._reply(*double.answer(question))

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing: what matters is recorded."""


@contextmanager
def opa_double(folder: Path) -> Iterator[OpaDouble]:
    """Serve from a thread until the context ends."""
    double = OpaDouble(folder / "opa.sock")
    with _Server(str(double.socket), _Handler) as server:
        server.double = double
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield double
        finally:
            double.released.set()
            server.shutdown()
            thread.join()
