"""One HTTPS connection that ends by a deadline, whatever the server sends or holds back.

Theory of operation. A time-out of a socket starts over with every byte, so a server that sends one
byte at a time would hold a reader for ever, in the TLS handshake and in headers too. So each
connection can be *cut* from another thread: a duplicate of its descriptor is shut down, and the
read that is under way ends. ``http.client`` does the protocol; what is added is connecting within
the deadline, the tunnel through a proxy (RFC 9110 §9.3.6), and the cut.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_PROXY_PORT = 80
_LOOK_SECONDS = 0.25
_MAX_TUNNEL_HEADERS = 1 << 16


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """How long one file may take, in seconds.

    Attributes:
        step: For each of: connecting to one address, one read.
        total: For one file, every further attempt included.
        round: For all files that one reading of a repository asks for.
        attempts: For one file.
        pause: The longest pause before the second attempt; doubled with each further one.
    """

    step: float = 5.0
    total: float = 20.0
    round: float = 60.0
    attempts: int = 3
    pause: float = 0.2


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy: where it is, and the credentials for it, if any."""

    host: str
    port: int
    authorization: str | None

    @classmethod
    def of(cls, url: str) -> Proxy:
        """Return the proxy of ``http://[USER:PASSWORD@]HOST[:PORT]``."""
        parts = urlsplit(url)
        authorization = None
        if parts.username is not None:
            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = "Basic " + base64.b64encode(credentials.encode()).decode()
        return cls(parts.hostname or "", parts.port or _PROXY_PORT, authorization)


class Connection(http.client.HTTPConnection):
    """A connection over TLS, directly or through a proxy.

    Args:
        host: Of the server, as in the URL, IPv6 addresses without brackets.
        port: Of the server.
        context: TLS settings.
        proxy: See ``Proxy``.
        limits: See ``HttpLimits``.
    """

    default_port = http.client.HTTPS_PORT

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext, proxy: Proxy | None, limits: HttpLimits
    ) -> None:
        super().__init__(host, port, timeout=limits.step)
        self._tls = context
        self._proxy = proxy
        self._limits = limits
        self._cut: socket.socket | None = None
        self._is_cut = False
        self.until = time.monotonic() + limits.total

    def connect(self) -> None:
        """Connect within the deadline; called by ``request`` where there is no connection."""
        proxy = self._proxy
        host, port = (self.host, self.port) if proxy is None else (proxy.host, proxy.port)
        raw = self._connected(host, port)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._forget()
            self._cut = raw.dup()
            if self._is_cut:
                raise TimeoutError("the deadline passed")
            if proxy is not None:
                self._open_tunnel(raw, proxy)
            self.sock = self._tls.wrap_socket(raw, server_hostname=self.host)
        except BaseException:
            raw.close()
            raise

    def cut(self) -> None:
        """Abort the exchange on this connection; called from another thread."""
        self._is_cut = True
        cut = self._cut
        if cut is not None:
            try:
                cut.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it has ended already

    @contextmanager
    def watched(self, until: float, stop: threading.Event) -> Iterator[None]:
        """Cut what is done in the block at ``until`` (monotonic seconds), or when ``stop`` is set.

        The thread that watches lives as long as the block.

        Raises:
            TimeoutError: It was cut, whatever the block made of that: headers that end early are
                complete to ``http.client``.
        """
        self.until = until
        done = threading.Event()

        def watch() -> None:
            while not done.wait(_LOOK_SECONDS):
                if stop.is_set() or time.monotonic() >= until:
                    self.cut()
                    return

        thread = threading.Thread(target=watch, name="watch-https", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            if self._is_cut:
                raise TimeoutError("the deadline passed")

    def close(self) -> None:
        """Close the connection."""
        super().close()
        self._forget()

    def _forget(self) -> None:
        cut, self._cut = self._cut, None
        if cut is not None:
            cut.close()

    def _connected(self, host: str, port: int) -> socket.socket:
        """Connect to the first address that accepts, before the deadline."""
        failure: OSError | None = None
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        ):
            left = self.until - time.monotonic()
            if left <= 0:
                raise TimeoutError("the deadline passed")
            made = socket.socket(family, kind, protocol)
            made.settimeout(min(self._limits.step, left))
            try:
                made.connect(address)
            except OSError as error:
                failure = error
                made.close()
            else:
                made.settimeout(self._limits.step)
                return made
        raise failure or OSError(f"{host} has no address")

    def _open_tunnel(self, raw: socket.socket, proxy: Proxy) -> None:
        host = f"[{self.host}]" if ":" in self.host else self.host
        lines = [f"CONNECT {host}:{self.port} HTTP/1.1", f"Host: {host}:{self.port}"]
        if proxy.authorization is not None:
            lines.append(f"Proxy-Authorization: {proxy.authorization}")
        raw.sendall("\r\n".join([*lines, "", ""]).encode("ascii"))
        answer = b""
        # Byte by byte: what follows the headers belongs to the TLS handshake.
        while not answer.endswith(b"\r\n\r\n"):
            byte = raw.recv(1)
            if not byte or len(answer) >= _MAX_TUNNEL_HEADERS:
                raise OSError("the proxy did not answer CONNECT")
            answer += byte
        status = answer.split(b"\r\n")[0].split(b" ")[1:2]
        if status != [b"200"]:
            code = status[0].decode("latin-1")[:3] if status else ""
            raise OSError(f"the proxy answered CONNECT with {code or 'no status'}, not 200")
