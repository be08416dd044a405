"""A TCP proxy that loses, delays, cuts and alters what passes through it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

CHUNK = 4096
SLOWEST_SECONDS = 0.3
LOSSES = ("refused", "silent", "slow", "cut", "altered", "lossy")
"""Every connection is closed at once; nothing passes; everything late; cut in the middle; a byte is
changed; each of these by chance."""


@dataclass
class LossyProxy:
    """Forwards to ``target`` on the loopback; ``loss`` is one of ``LOSSES``, or nothing.

    Attributes:
        port: Where it listens.
        target: Port or Unix socket of the server behind it; another when that is started anew.
    """

    port: int
    target: int | Path
    loss: str = ""
    random: Random = field(default_factory=lambda: Random(0))
    _open: set[socket.socket] = field(default_factory=set)

    def lose(self, how: str, seed: int) -> None:
        """Treat connections so from now on; those that are open end."""
        self.loss, self.random = how, Random(seed)
        self.reset()

    def heal(self) -> None:
        """Forward everything again; connections that were treated badly end."""
        self.loss = ""
        self.reset()

    def reset(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def serve(self, client: socket.socket) -> None:
        """Forward one connection in both directions until either end closes."""
        how = self.loss
        if how == "lossy":
            how = self.random.choice(("", *LOSSES[:-1]))
        if how == "refused":
            client.close()
            return
        with contextlib.suppress(OSError), client, self._connect() as server:
            self._open |= {client, server}
            back = threading.Thread(target=self._pump, args=(server, client, how), daemon=True)
            back.start()
            self._pump(client, server, how)
            back.join()
        self._open.discard(client)

    def _connect(self) -> socket.socket:
        if isinstance(self.target, int):
            return socket.create_connection(("127.0.0.1", self.target))
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self.target))
        return server

    def _pump(self, source: socket.socket, to: socket.socket, how: str) -> None:
        passed, cut = 0, self.random.randrange(1, 3 * CHUNK)
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                passed += len(data)
                if how == "silent":
                    continue
                if how == "slow":
                    time.sleep(self.random.uniform(0, SLOWEST_SECONDS))
                if how == "cut" and passed >= cut:
                    break
                if how == "altered" and passed >= cut:
                    at = self.random.randrange(len(data))
                    data = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
                to.sendall(data)
        for end in (source, to):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(client,), daemon=True).start()


@contextmanager
def lossy_proxy(target: int | Path) -> Iterator[LossyProxy]:
    """Listen on a port of the kernel's choice until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = LossyProxy(listener.getsockname()[1], target)
        thread = threading.Thread(target=_accept, args=(listener, proxy.serve), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            proxy.reset()
            thread.join(10)
