"""Bodies that state no length: counted as they come, by bytes, and refused with a reason."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.support.site.site import Site

MIB = 1 << 20
HEAD = (
    "POST /v1/chat/completions HTTP/1.1\r\nHost: gateway.example\r\nConnection: close\r\n"
    "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
)


@contextmanager
def began(site: Site, size: int) -> Iterator[socket.socket]:
    """A call without a length, of which this many bytes were sent and no end."""
    assert site.envoy is not None
    lines = "".join(f"{name}: {value}\r\n" for name, value in site.talk.credential)
    with socket.create_connection(("127.0.0.1", site.envoy.port), timeout=60) as connection:
        connection.sendall(f"{HEAD}{lines}\r\n{size:x}\r\n".encode() + b" " * size + b"\r\n")
        yield connection


def ended(connection: socket.socket, body: bytes) -> tuple[int, str]:
    """Status and reason after the rest of a body."""
    connection.sendall(f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
    return answered(connection)


def answered(connection: socket.socket) -> tuple[int, str]:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    head, _, _ = received.decode("latin-1").partition("\r\n\r\n")
    lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    return int(head.split(" ")[1]), lines.get("x-admissibility-reason", "")


def test_many_small_bodies_without_a_length_are_let_in_at_once_and_large_ones_by_their_bytes(
    site: Site,
) -> None:
    site.settings.update(max_body_bytes=4 * MIB, max_body_bytes_in_flight=4 * MIB)
    site.start().front()
    body = json.dumps({"model": site.talk.model, "messages": []}).encode()
    with ExitStack() as stack:
        small = [stack.enter_context(began(site, 1024)) for _ in range(40)]
        assert {ended(each, body) for each in small} == {(200, "")}
    with began(site, 3 * MIB) as first, began(site, 3 * MIB) as second:
        # What has arrived counts: the second is refused while both are still being sent.
        (refused,), _, _ = select.select([first, second], [], [], 60)
        assert answered(refused) == (503, "overloaded")
        assert ended(second if refused is first else first, body) == (200, "")
    with began(site, 3 * MIB) as third:
        assert ended(third, body) == (200, "")
    logged = [
        json.loads(line) for line in site.gate.decisions.read_text(encoding="utf-8").splitlines()
    ]
    reasons = [each["reason"] for each in logged]
    assert [each for each in reasons if each != "admitted"] == ["overloaded"]
