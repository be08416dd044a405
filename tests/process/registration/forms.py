"""Forms that upload a file, written byte by byte as a client sends them."""

from __future__ import annotations

from tests.process.registration.stage import HEADER, Stage
from tests.support.simulator.constants import ENV
from tests.support.site.envoy import Answer, exchange, request_bytes

BOUNDARY = "0123456789abcdef"


def field(name: str, value: str) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
    return head.encode() + value.encode() + b"\r\n"


def part(content: bytes, name: str = "lines.jsonl") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    return head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def form(content: bytes, purpose: str = "batch") -> bytes:
    return field("purpose", purpose) + part(content) + END


def upload(stage: Stage, body: bytes, *, environment: str = ENV) -> Answer:
    """Send a form as it is."""
    token = stage.client(environment).default_headers[HEADER]
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    headers = [(HEADER, str(token)), ("Content-Type", kind)]
    return exchange(stage.envoy.port, request_bytes("POST", "/v1/files", headers, body))
