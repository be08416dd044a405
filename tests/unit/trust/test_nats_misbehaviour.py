"""Whatever a NATS server does ends in one error of one file, within the time, and is forgotten."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.jetstream.bucket import Bucket
from sidecar.jetstream.config import parse
from sidecar.jetstream.session import NatsLimits
from sidecar.trust.nats_source import NatsSource
from sidecar.trust.source import SourceError
from tests.support.nats_server import INFO, NatsServer, misbehaving, nats_server, needs_nats

NAME = "metadata/timestamp.json"
QUICK = NatsLimits(step=0.5, total=1.0)

pytestmark = [needs_nats, pytest.mark.slow]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with nats_server(tmp_path_factory.mktemp("nats")) as found:
        with closing(Bucket(found.config("trust/acme"))) as bucket:
            bucket.create()
            bucket.put(NAME, b"12345")
        yield found


def connected(client: socket.socket, info: bytes = INFO) -> Iterator[bytes]:
    """Speak the protocol up to PONG and yield each line that the client sends."""
    client.sendall(info)
    for line in client.makefile("rb"):
        if line.startswith(b"PING"):
            client.sendall(b"PONG\r\n")
        yield line


Behaviour = Callable[[socket.socket, threading.Event], None]


def says(data: bytes) -> Behaviour:
    def behave(client: socket.socket, ended: threading.Event) -> None:
        client.sendall(data)
        ended.wait(30)

    return behave


def closes(client: socket.socket, ended: threading.Event) -> None:
    return


def drips(client: socket.socket, ended: threading.Event) -> None:
    client.sendall(b"INFO {")
    while not ended.wait(0.05):
        client.sendall(b" ")


def answers(data: bytes, times: int = 1) -> Behaviour:
    """Answers a request with raw bytes, in which INBOX and SID are the request's."""

    def behave(client: socket.socket, ended: threading.Event) -> None:
        for line in connected(client):
            if line.startswith(b"SUB"):
                sid = line.split()[-1]
            elif line.startswith(b"PUB"):
                inbox = line.split()[2]
                for _ in range(times):
                    client.sendall(data.replace(b"INBOX", inbox).replace(b"SID", sid))
        ended.wait(30)

    return behave


def message(payload: bytes) -> bytes:
    return b"MSG INBOX SID %d\r\n%s\r\n" % (len(payload), payload)


SILENT = "the server did not answer in time"
NONSENSE = "the server sent something else than NATS"
FLOOD = "the server sent more than was asked for"

MISBEHAVIOUR: dict[str, tuple[Behaviour, set[str]]] = {
    "hangs": (says(b""), {SILENT}),
    "hangs after INFO": (says(INFO), {SILENT}),
    "hangs before an answer": (answers(b""), {SILENT}),
    "hangs in an answer": (answers(b"MSG INBOX SID 999\r\nx"), {SILENT}),
    "drips INFO": (drips, {SILENT}),
    "sends endless INFO": (
        says(b"INFO " + b" " * (1 << 20)),
        {NONSENSE},
    ),
    "speaks no NATS": (
        says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        {"empty response from server when expecting INFO message"},
    ),
    "sends an INFO that is no JSON": (says(b"INFO {\r\n"), {"info message, json parse error"}),
    "closes": (closes, {"empty response from server when expecting INFO message"}),
    "refuses": (
        says(INFO + b"-ERR 'Authorization Violation'\r\n"),
        {"'Authorization Violation'"},
    ),
    "announces an endless payload": (answers(b"MSG INBOX SID 99999999999\r\nx"), {FLOOD}),
    "sends endless data": (answers(b"MSG x 99 65536\r\n%s\r\n" % bytes(1 << 16), 64), {FLOOD}),
    "sends no JSON": (answers(message(b"{")), {NONSENSE}),
    "answers about another file": (
        answers(
            message(
                b'{"message":{"subject":"x","seq":1,"data":"MTIz","time":"2026-01-01T00:00:00Z"}}'
            )
        ),
        {NONSENSE},
    ),
}


@pytest.mark.parametrize("what", MISBEHAVIOUR)
def test_whatever_a_server_does_ends_in_one_error_and_is_forgotten(
    server: NatsServer, what: str
) -> None:
    config = server.config("trust/acme")
    behaviour, lines = MISBEHAVIOUR[what]
    with misbehaving(behaviour) as fake:
        wrong = replace(config, servers=(f"nats://127.0.0.1:{fake.port}",))
        with closing(NatsSource(wrong, QUICK)) as found:
            with pytest.raises(SourceError) as caught:
                found.fetch(NAME, 100)
            assert str(caught.value).removeprefix(f"{NAME}: ") in lines
            fake.behave = lambda client, _: _forward(client, server.port)
            for _ in range(100):
                try:
                    assert found.fetch(NAME, 100) == b"12345"
                    return
                except SourceError:
                    threading.Event().wait(0.05)
            raise AssertionError("the source did not recover")


def _forward(client: socket.socket, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as upstream:

        def back() -> None:
            while data := upstream.recv(1 << 16):
                client.sendall(data)

        thread = threading.Thread(target=back, daemon=True)
        thread.start()
        while data := client.recv(1 << 16):
            upstream.sendall(data)
        upstream.shutdown(socket.SHUT_RDWR)
        thread.join(30)


def test_tls_is_required_where_it_is_configured(tmp_path: Path) -> None:
    """No credential is sent to a server that offers none, though the library would connect."""
    user = tmp_path / "user"
    user.write_text("me:secret")
    seen: list[bytes] = []

    def strips(client: socket.socket, ended: threading.Event) -> None:
        seen.extend(
            connected(client, INFO.replace(b'"headers"', b'"auth_required":true,"headers"'))
        )

    with misbehaving(strips) as fake:
        url = f"tls://localhost:{fake.port}/trust/acme"
        source = NatsSource(replace(parse(url), user=user), QUICK)
        with closing(source) as found, pytest.raises(SourceError) as caught:
            found.fetch(NAME, 100)
    assert (str(caught.value), seen) == (f"{NAME}: secure connection required", [])
