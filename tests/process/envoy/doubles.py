"""Stand-ins for the two ends of a reference configuration: a gate and a provider that record.

The gate here decides nothing. It returns what a test tells it to, so that what Envoy makes of an
answer is seen by itself.
"""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from sidecar._pb import ext_authz_pb2 as pb
from sidecar._pb import ext_authz_pb2_grpc as rpc
from sidecar._pb import ext_proc_pb2 as proc
from sidecar._pb import ext_proc_pb2_grpc as proc_rpc
from sidecar.ext_proc.body_counter import BODIES, STREAM

LAST_CHUNK = b"0\r\n\r\n"
GATE_NAME = "admissibility"


def admitted(
    ok: pb.OkHttpResponse | None = None, gate: str = GATE_NAME, key: str = "admitted"
) -> pb.CheckResponse:
    """An allow with the metadata that the seal of the references requires."""
    reply = pb.CheckResponse(
        status=pb.Status(code=0), ok_response=pb.OkHttpResponse() if ok is None else ok
    )
    reply.dynamic_metadata.update({key: True, "gate": gate})
    return reply


class FakeProcessor(proc_rpc.ExternalProcessorServicer):
    """Lets every body go on that it is shown, and keeps how many bytes it was shown of each."""

    def __init__(self) -> None:
        self.counted: list[int] = []

    def Process(self, request: Any, context: Any) -> Any:
        assert (STREAM, BODIES) in context.invocation_metadata()
        size = 0
        for message in request:
            if message.WhichOneof("request") == "request_headers":
                yield proc.ProcessingResponse(request_headers=proc.HeadersResponse())
                continue
            size += len(message.request_body.body)
            if message.request_body.end_of_stream:
                self.counted.append(size)
            yield proc.ProcessingResponse(request_body=proc.BodyResponse())


@dataclass(slots=True)
class FakeGate(rpc.AuthorizationServicer):
    """Answers every check with `answer`, or what `decide` returns, and keeps what it was asked."""

    answer: pb.CheckResponse
    port: int = 0
    decide: Callable[[pb.CheckRequest], pb.CheckResponse] | None = None
    asked: list[pb.CheckRequest] = field(default_factory=list)
    bodies: FakeProcessor = field(default_factory=FakeProcessor)
    server: grpc.Server = field(
        default_factory=lambda: grpc.server(
            futures.ThreadPoolExecutor(max_workers=4),
            options=[("grpc.max_receive_message_length", 64 << 20)],
        )
    )

    def stop(self) -> None:
        """Stop serving at once; its port is closed when this returns."""
        self.server.stop(grace=None).wait()

    def Check(self, request: pb.CheckRequest, context: Any) -> pb.CheckResponse:
        self.asked.append(request)
        return self.answer if self.decide is None else self.decide(request)


@contextmanager
def fake_gate(
    answer: pb.CheckResponse, processor: proc_rpc.ExternalProcessorServicer | None = None
) -> Iterator[FakeGate]:
    gate = FakeGate(answer)
    rpc.add_AuthorizationServicer_to_server(gate, gate.server)
    proc_rpc.add_ExternalProcessorServicer_to_server(processor or gate.bodies, gate.server)
    gate.port = gate.server.add_insecure_port("127.0.0.1:0")
    gate.server.start()
    try:
        yield gate
    finally:
        gate.stop()


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it reached the provider; lines of one name are joined by a line feed."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class _Recorder(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self.received: list[Received] = []
        self.answer = b'{"object": "ok"}'
        self.lines: dict[str, str] = {}
        self.streaming = False
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of connections that Envoy breaks, or does not trust."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Recorder

    def do_POST(self) -> None:
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            before = headers.get(name.lower())
            headers[name.lower()] = value if before is None else f"{before}\n{value}"
        body = self._body()
        self.server.received.append(Received(self.command, self.path, headers, body))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        for name, value in self.server.lines.items():
            self.send_header(name, value)
        if self.server.streaming:
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            self._go_on()
            return
        self.send_header("content-length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def _body(self) -> bytes:
        if "transfer-encoding" not in self.headers:
            return self.rfile.read(int(self.headers.get("content-length", "0")))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _go_on(self) -> None:
        """Send for twenty seconds, slowly, as models do; the last chunk says that it was all."""
        for _ in range(1000):
            if self.server.stopping.wait(0.02):
                return
            self.wfile.write(b"1\r\n.\r\n")
        self.wfile.write(LAST_CHUNK)

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing: what matters is recorded."""


@dataclass(frozen=True, slots=True)
class FakeProvider:
    """A recording HTTP server on loopback."""

    server: _Recorder

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    @property
    def received(self) -> list[Received]:
        return self.server.received

    def answer_with(self, body: bytes, lines: dict[str, str] | None = None) -> None:
        """Answer every call with these bytes, and these further headers, from now on."""
        self.server.answer = body
        self.server.lines = lines or {}

    def go_on(self) -> None:
        """Answer every call with a long stream from now on."""
        self.server.streaming = True


@contextmanager
def fake_provider(tls: ssl.SSLContext | None = None) -> Iterator[FakeProvider]:
    server = _Recorder(tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield FakeProvider(server)
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
