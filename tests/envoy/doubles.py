"""Stand-ins for the two ends of a reference configuration: a gate and a provider that record.

The gate here decides nothing. It returns what a test tells it to, so that what Envoy makes of an
answer is seen by itself.
"""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from sidecar._pb import ext_authz_pb2 as pb
from sidecar._pb import ext_authz_pb2_grpc as rpc


@dataclass(slots=True)
class FakeGate(rpc.AuthorizationServicer):
    """Answers every check with `answer`, and keeps what it was asked."""

    answer: pb.CheckResponse
    port: int = 0
    asked: list[pb.CheckRequest] = field(default_factory=list)
    server: grpc.Server = field(
        default_factory=lambda: grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    )

    def stop(self) -> None:
        """Stop serving at once; its port is closed when this returns."""
        self.server.stop(grace=None).wait()

    def Check(self, request: pb.CheckRequest, context: Any) -> pb.CheckResponse:
        self.asked.append(request)
        return self.answer


@contextmanager
def fake_gate(answer: pb.CheckResponse) -> Iterator[FakeGate]:
    gate = FakeGate(answer)
    rpc.add_AuthorizationServicer_to_server(gate, gate.server)
    gate.port = gate.server.add_insecure_port("127.0.0.1:0")
    gate.server.start()
    try:
        yield gate
    finally:
        gate.stop()


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it reached the provider."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class _Recorder(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.received: list[Received] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Recorder

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(length)
        self.server.received.append(Received(self.command, self.path, headers, body))
        answer = b'{"object": "ok"}'
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing: what matters is recorded."""


@dataclass(frozen=True, slots=True)
class FakeProvider:
    """A recording HTTP server on loopback."""

    port: int
    received: list[Received]


@contextmanager
def fake_provider() -> Iterator[FakeProvider]:
    server = _Recorder()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield FakeProvider(server.server_address[1], server.received)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
