"""A real Envoy for tests, and raw HTTP to speak to it with.

`EnvoyProcess` is the one the demo uses. The client here is a bare socket on purpose: what is under
test is exactly what goes over the wire, and an HTTP library would tidy it first.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from admissibility_devtools.tools.envoy_process import EnvoyProcess

__all__ = ["PATIENT_MS", "Answer", "EnvoyProcess", "exchange", "patient", "request_bytes"]

PATIENT_MS = 10_000
"""A gate's deadline where it is not what is tested; below what `patient` lets Envoy wait."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP/1.1 response.

    Attributes:
        status: The code.
        headers: Names in lower case; the last of several lines wins.
        body: Everything after the head, as it came.
    """

    status: int
    headers: dict[str, str]
    body: bytes


def request_bytes(
    method: str, target: str, headers: list[tuple[str, str]] | None = None, body: bytes = b""
) -> bytes:
    """One HTTP/1.1 request, with exactly these header lines plus Host, Content-Length and close.

    A length is stated as clients state it (RFC 9110, 8.6): with a body, and of 0 with a method that
    could have one; unless the lines frame it themselves.
    """
    framed = {name.lower() for name, _ in headers or []} & {"content-length", "transfer-encoding"}
    lines = [f"{method} {target} HTTP/1.1", "Host: gateway.example", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers or []]
    if body or (method in {"PATCH", "POST", "PUT"} and not framed):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def patient(config: str) -> str:
    """A configuration that waits longer for its gate.

    Two seconds are plenty for a machine that does nothing else; here the rest of a suite may run.
    """
    assert "timeout: 2s" in config
    return config.replace("timeout: 2s", "timeout: 20s")


def exchange(
    port: int, request: bytes, tls: ssl.SSLContext | None = None, name: str = "gateway.example"
) -> Answer:
    """Send bytes to a loopback port, and read the answer until the other side closes.

    Over TLS, ``name`` is the one that the client asks for (SNI).
    """
    with socket.create_connection(("127.0.0.1", port), timeout=120) as plain:
        stream = plain if tls is None else tls.wrap_socket(plain, server_hostname=name)
        with stream:
            stream.sendall(request)
            received = b""
            while chunk := stream.recv(65536):
                received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return Answer(status=int(first.split(" ")[1]), headers=headers, body=body)
