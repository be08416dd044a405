"""A real NATS server on the loopback, and a stand-in that misbehaves in NATS's protocol."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from admissibility_devtools.tools.find import NATS
from sidecar.jetstream.config import NatsConfig, parse
from sidecar.opa.errors import ProgramError
from sidecar.opa.location import locate


def _found() -> tuple[Path | None, str]:
    """The pinned program, or why it is not to be had."""
    try:
        return locate(NATS), ""
    except ProgramError as error:
        return None, str(error)


PROGRAM, WHY_NOT = _found()
needs_nats = pytest.mark.skipif(PROGRAM is None, reason=WHY_NOT)


@dataclass
class NatsServer:
    """A server with JetStream, which can be stopped and started again.

    Attributes:
        folder: Its own.
        port: Of clients; the same after a restart.
        settings: Lines of its configuration beside port and store.
        scheme: Of its URLs.
    """

    folder: Path
    settings: str = ""
    scheme: str = "nats"
    port: int = 0
    child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def url(self, path: str) -> str:
        return f"{self.scheme}://localhost:{self.port}/{path}"

    def config(self, path: str) -> NatsConfig:
        return parse(self.url(path))

    def start(self) -> None:
        """Start it and wait until it listens."""
        assert PROGRAM is not None
        ports = self.folder / "ports"
        ports.mkdir(parents=True, exist_ok=True)
        for old in ports.iterdir():
            old.unlink()
        config = self.folder / "nats.conf"
        config.write_text(
            f'host: "127.0.0.1"\nport: {self.port or -1}\nports_file_dir: "{ports}"\n'
            f'jetstream {{ store_dir: "{self.folder / "store"}", sync_interval: "1h" }}\n'
            f"{self.settings}\n"
        )
        with (self.folder / "nats.log").open("ab") as log:
            self.child = subprocess.Popen(
                [str(PROGRAM), "-c", str(config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        for _ in range(3000):
            assert self.child.poll() is None, (self.folder / "nats.log").read_text()
            with suppress(StopIteration, ValueError, OSError, LookupError):
                found = json.loads(next(ports.iterdir()).read_text())
                self.port = int(found["nats"][0].rpartition(":")[2])
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            time.sleep(0.01)
        raise AssertionError("the NATS server does not listen")

    def stop(self, *, kill: bool = False) -> None:
        child, self.child = self.child, None
        if child is not None:
            child.kill() if kill else child.terminate()
            child.wait(30)


@contextmanager
def nats_server(folder: Path, settings: str = "", scheme: str = "nats") -> Iterator[NatsServer]:
    """Run a server below ``folder``."""
    server = NatsServer(folder / "nats-server", settings, scheme)
    server.start()
    try:
        yield server
    finally:
        server.stop()


INFO = b'INFO {"server_id":"x","version":"2.14.0","headers":true,"max_payload":1048576}\r\n'
Behaviour = Callable[[socket.socket, threading.Event], None]


@dataclass
class FakeNats:
    """Accepts connections and does to each what a test states."""

    port: int
    behave: Behaviour


@contextmanager
def misbehaving(behave: Behaviour) -> Iterator[FakeNats]:
    """Listen and let ``behave`` answer each connection in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    fake = FakeNats(listener.getsockname()[1], behave)
    ended, threads = threading.Event(), list[threading.Thread]()

    def answer(client: socket.socket) -> None:
        with client, suppress(OSError):
            fake.behave(client, ended)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=answer, args=(client,), daemon=True))
            threads[-1].start()

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    try:
        yield fake
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in (server, *threads):
            thread.join(30)
