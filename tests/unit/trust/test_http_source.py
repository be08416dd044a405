"""The HTTPS source: bounded whatever a server does, and trusted with nothing."""

from __future__ import annotations

import gzip
import http.server
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sidecar.trust.http_connection import HttpLimits
from sidecar.trust.http_source import HttpsSource
from sidecar.trust.refresh import RefreshError, refresh
from sidecar.trust.source import SourceError, SourceMissingError
from sidecar.trust.source_config import HttpsSourceConfig
from tests.support.https_server import HttpsServer, certificate, serving
from tests.support.simulator.svid import Issuer, pem
from tests.unit.trust.operator import ONE, Operator, first_refresh, running
from tests.unit.trust.repository import Repository

NAME = "metadata/timestamp.json"
QUICK = HttpLimits(step=0.3, total=0.8, attempts=2, pause=0.01)
KEY = "sha256:" + "a" * 64
Handler = http.server.BaseHTTPRequestHandler


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with serving(tmp_path_factory.mktemp("https")) as server:
        yield server


@pytest.fixture
def server(shared: HttpsServer) -> Iterator[HttpsServer]:
    shared.behave()
    yield shared
    shared.behave()
    shutil.rmtree(shared.folder)
    shared.folder.mkdir()


@contextmanager
def source(
    server: HttpsServer, path: str = "acme", limits: HttpLimits = QUICK, **options: Any
) -> Iterator[HttpsSource]:
    config = HttpsSourceConfig(f"{server.url}/{path}", ca=server.ca)
    made = HttpsSource(replace(config, **options), limits)
    try:
        yield made
    finally:
        made.close()


def put(server: HttpsServer, data: bytes = b"12345") -> None:
    path = server.folder / "acme" / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_a_timestamp_that_did_not_change_is_not_sent_again(server: HttpsServer) -> None:
    put(server)
    path = f"/acme/{NAME}"
    with source(server) as found:
        assert [found.fetch(NAME, 5) for _ in range(3)] == [b"12345"] * 3
        put(server, b"news")
        assert found.fetch(NAME, 5) == b"news"
    assert server.answered == [(path, 200), (path, 304), (path, 304), (path, 200)]


def test_a_file_is_read_up_to_its_cap_and_no_answer_is_a_file(server: HttpsServer) -> None:
    put(server)
    with source(server) as found:
        with pytest.raises(SourceError) as caught:
            found.fetch(NAME, 4)
        assert str(caught.value) == f"{NAME} is larger than 4 bytes"
        with pytest.raises(SourceMissingError) as missing:
            found.fetch("metadata/2.root.json", 4)
        assert str(missing.value) == "metadata/2.root.json is not there (HTTP 404)"
        with pytest.raises(SourceError) as refused:
            found.fetch("../secret", 4)
        assert str(refused.value) == "'../secret' is not a name in a repository"


# what a server can do


def raw(*chunks: bytes) -> Callable[[Handler], bool]:
    def respond(handler: Handler) -> bool:
        for chunk in chunks:
            handler.wfile.write(chunk)
        return True

    return respond


def hangs(server: HttpsServer, first: bytes = b"") -> Callable[[Handler], bool]:
    """Sends one part and then nothing."""

    def respond(handler: Handler) -> bool:
        handler.wfile.write(first)
        server.released.wait(30)
        return True

    return respond


def drips(server: HttpsServer, first: bytes) -> Callable[[Handler], bool]:
    """Sends one part and then a byte at a time, each before the next read would time out."""

    def respond(handler: Handler) -> bool:
        handler.wfile.write(first)
        while not server.released.wait(0.05):
            handler.wfile.write(b"x")
        return True

    return respond


OK = b"HTTP/1.1 200 OK\r\n"
BOMB = gzip.compress(bytes(1 << 20))
LATE = "not complete after 0.8 s"
SILENT = "the server did not answer in time"

MISBEHAVIOUR: dict[str, tuple[Callable[[HttpsServer], Callable[[Handler], bool]], str]] = {
    "hangs": (hangs, SILENT),
    "hangs in the body": (
        lambda server: hangs(server, OK + b"Content-Length: 9\r\n\r\nx"),
        SILENT,
    ),
    "drips headers": (lambda server: drips(server, OK + b"x-a: "), LATE),
    "drips a body": (lambda server: drips(server, OK + b"Content-Length: 999\r\n\r\n"), LATE),
    "ends too early": (lambda _: raw(OK, b"Content-Length: 9\r\n\r\nx"), "the answer was cut off"),
    "ends in a chunk": (
        lambda _: raw(OK, b"Transfer-Encoding: chunked\r\n\r\n9\r\nx"),
        "IncompleteRead",
    ),
    "sends endless data": (
        lambda _: raw(OK, b"\r\n", *[bytes(1 << 16)] * 64),
        f"{NAME} is larger than 100 bytes",
    ),
    "sends endless headers": (lambda _: raw(OK, *[b"a: b\r\n"] * 200, b"\r\n"), "HTTPException"),
    "speaks no HTTP": (lambda _: raw(b"SSH-2.0-x\r\n"), "BadStatusLine"),
    "closes": (lambda _: raw(), "Remote end closed connection without response"),
    "redirects": (
        lambda _: raw(b"HTTP/1.1 302 F\r\nLocation: https://x.example/\r\n\r\n"),
        "HTTP 302, not 200 (to https://x.example/; give that URL if you trust it)",
    ),
    "compresses": (
        lambda _: raw(OK, b"Content-Encoding: gzip\r\n\r\n", BOMB),
        "has a Content-Encoding, which was not asked for",
    ),
    "says not modified to what was never read": (
        lambda _: raw(b"HTTP/1.1 304 N\r\n\r\n"),
        "HTTP 304, not 200",
    ),
    "is overloaded": (lambda _: raw(b"HTTP/1.1 503 N\r\nContent-Length: 0\r\n\r\n"), "HTTP 503"),
}


@pytest.mark.parametrize("what", MISBEHAVIOUR)
def test_whatever_a_server_does_ends_in_one_error_and_is_forgotten(
    server: HttpsServer, what: str
) -> None:
    put(server)
    behaviour, line = MISBEHAVIOUR[what]
    with source(server) as found:
        server.misbehave = behaviour(server)
        with pytest.raises(SourceError) as caught:
            found.fetch(NAME, 100)
        # On a busy machine the one time-out may come before the other.
        lines = {SILENT, LATE} if line in {SILENT, LATE} else {line}
        assert str(caught.value).removeprefix(f"{NAME}: ") in lines
        server.behave()
        assert found.fetch(NAME, 100) == b"12345"


def test_one_failure_is_tried_again_within_the_same_reading(server: HttpsServer) -> None:
    put(server)
    failures = iter([True])
    server.misbehave = lambda handler: next(failures, False)
    with source(server) as found:
        assert found.fetch(NAME, 100) == b"12345"


def test_a_stop_ends_what_hangs(server: HttpsServer) -> None:
    stop, asked = threading.Event(), threading.Event()
    hang = drips(server, OK + b"x-a: ")

    def respond(handler: Handler) -> bool:
        asked.set()
        return hang(handler)

    server.misbehave = respond
    with source(server, limits=HttpLimits(step=300, total=300)) as found:
        errors: list[SourceError] = []

        def read() -> None:
            for _ in found.changes(300, stop):
                try:
                    found.fetch(NAME, 100)
                except SourceError as error:
                    errors.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        assert asked.wait(60)
        stop.set()
        thread.join(60)
        assert not thread.is_alive()
        assert len(errors) == 1


# who may read, and whom the gate reads from


def test_a_server_of_another_ca_or_name_is_refused(server: HttpsServer, tmp_path: Path) -> None:
    put(server)
    other = tmp_path / "other.pem"
    other.write_text(pem(Issuer().root(datetime.now(UTC))))
    with source(server, ca=other) as found, pytest.raises(SourceError) as caught:
        found.fetch(NAME, 100)
    assert str(caught.value).startswith(f"{NAME}: the server's certificate: ")
    url = server.url.replace("localhost", "127.0.0.1") + "/acme"
    with source(server, url=url) as found, pytest.raises(SourceError) as caught:
        found.fetch(NAME, 100)
    assert "IP address mismatch" in str(caught.value)


def test_a_token_and_a_client_certificate_are_read_again_when_they_change(tmp_path: Path) -> None:
    clients = Issuer()
    client_ca = tmp_path / "clients.pem"
    client_ca.write_text(pem(clients.root(datetime.now(UTC))))
    token = tmp_path / "token"
    token.write_text("one\n")
    own = certificate(tmp_path, Issuer(), "client.pem")
    with serving(tmp_path, client_ca=client_ca) as server:
        put(server)
        with source(server, certificate=own, key=own, bearer=token) as found:
            with pytest.raises(SourceError):
                found.fetch(NAME, 100)
            certificate(tmp_path, clients, "new.pem").replace(own)
            assert found.fetch(NAME, 100) == b"12345"
            assert server.headers["Authorization"] == "Bearer one"
            token.write_text("two\n")
            found.fetch(NAME, 100)
            assert server.headers["Authorization"] == "Bearer two"
            token.write_text("not one token\n")
            with pytest.raises(SourceError) as caught:
                found.fetch(NAME, 100)
            assert str(caught.value) == (
                f"{token}: is not one bearer token of at most 16384 characters"
            )


@contextmanager
def tunnelling(answer: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """A proxy that answers CONNECT and then copies bytes; gives its address and the requests."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def copy(one: socket.socket, other: socket.socket) -> None:
        while data := one.recv(1 << 16):
            other.sendall(data)
        with suppress(OSError):  # the other side may have closed already
            other.shutdown(socket.SHUT_WR)

    def serve() -> None:
        client, _ = listener.accept()
        request = client.recv(1 << 16)
        seen.append(request)
        client.sendall(answer)
        if not answer.startswith(b"HTTP/1.1 200"):
            client.close()
            return
        port = int(request.split(b" ")[1].rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port)) as server, client:
            back = threading.Thread(target=copy, args=(server, client))
            back.start()
            copy(client, server)
            back.join()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        thread.join(60)
        listener.close()


def test_a_proxy_is_used_where_it_is_configured_and_nowhere_else(
    server: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(server)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with source(server) as found:
        assert found.fetch(NAME, 100) == b"12345"
    with tunnelling(b"HTTP/1.1 200 OK\r\nx: y\r\n\r\n") as (address, seen):
        with source(server, proxy=f"http://me:p%40ss@{address}") as found:
            assert found.fetch(NAME, 100) == b"12345"
        assert seen[0].startswith(
            f"CONNECT {server.url.removeprefix('https://')} HTTP/1.1".encode()
        )
        assert b"\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\n" in seen[0]
    with tunnelling(b"HTTP/1.1 407 No\r\n\r\n") as (address, _):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{address}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        once = replace(QUICK, attempts=1)
        with source(server, limits=once, proxy="environment") as found:
            with pytest.raises(SourceError) as caught:
                found.fetch(NAME, 100)
            assert str(caught.value) == f"{NAME}: the proxy answered CONNECT with 407, not 200"


# whole: TUF over it


@pytest.fixture
def elsewhere(server: HttpsServer, tmp_path: Path) -> tuple[Repository, Path]:
    repo = Repository(server.folder / "acme", "acme")
    repo.publish()
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    return repo, state


def test_old_mixed_and_foreign_files_never_replace_a_withdrawal(
    server: HttpsServer, elsewhere: tuple[Repository, Path], tmp_path: Path
) -> None:
    repo, state = elsewhere
    before = tmp_path / "before"
    shutil.copytree(repo.folder, before)
    repo.withdraw("key", KEY)
    with source(server) as found:
        whole = refresh(repo.trusted(), found, state).view
        assert [entry.subject for entry in whole.withdrawals.entries] == [KEY]
        current = {path: path.read_bytes() for path in repo.folder.rglob("*.json")}
        fork = Repository(tmp_path / "fork", "acme")
        fork.publish()
        for served in (before, fork.folder):
            shutil.rmtree(repo.folder)
            shutil.copytree(served, repo.folder)
            with pytest.raises(RefreshError):
                refresh(repo.trusted(), found, state)
        for path, data in current.items():
            path.write_bytes(data)
        assert refresh(repo.trusted(), found, state).view == whole


def test_a_gate_follows_one_authority_over_https_and_a_server_that_hangs_delays_no_other(
    server: HttpsServer, published: Operator
) -> None:
    shutil.copytree(published.repositories["acme"].folder, server.folder / "acme")
    published.value["authorities"][0]["source"] = {
        "url": f"{server.url}/acme",
        "ca": str(server.ca),
    }
    with running(published.load()) as (control, states):
        first_refresh(control)
        states.wait(ONE)
        server.misbehave = hangs(server)
        published.repositories["office"].withdraw("key", KEY)
        states.wait(ONE | {"office": 2})
        server.behave()
        published.repositories["acme"].withdraw("key", KEY)
        shutil.copytree(
            published.repositories["acme"].folder, server.folder / "acme", dirs_exist_ok=True
        )
        states.wait(ONE | {"office": 2, "acme": 2})
