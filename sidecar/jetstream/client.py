"""The NATS client, bounded: it takes no more bytes than were asked for, and keeps to TLS.

``nats-py`` waits for a payload of any declared length and reads whatever arrives, so a server could
fill the memory; and where TLS is configured it connects without, if the server offers none.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Awaitable, Callable

from nats import errors
from nats.aio.client import Client
from nats.protocol.parser import Parser

from sidecar.jetstream.config import NatsConfig
from sidecar.jetstream.errors import JetStreamError
from sidecar.jetstream.login import Login

# Failures are in the error that names the file; a server must not be able to fill the log.
logging.getLogger("nats").setLevel(logging.CRITICAL)

UNASKED_BYTES = 1 << 20
UNASKED_BYTES_PER_SECOND = 1 << 16
"""Notifications, heartbeats and PINGs, which nobody asked for singly."""
MOST_BYTES = 1 << 27


class _BoundedParser(Parser):
    """Parses as the library does, within a budget of bytes."""

    def __init__(self, nc: Client) -> None:
        super().__init__(nc)
        self._left = float(UNASKED_BYTES)
        self._filled = time.monotonic()
        self.exceeded = False

    def allow(self, size: int) -> None:
        """Let so many bytes more arrive, because they were asked for."""
        self._left = min(self._left + size, MOST_BYTES)

    async def parse(self, data: bytes = b"") -> None:
        """Parse what arrived.

        Raises:
            ProtocolError: More arrived, or is announced, than was asked for.
        """
        now = time.monotonic()
        if self._left < UNASKED_BYTES:
            gained = (now - self._filled) * UNASKED_BYTES_PER_SECOND
            self._left = min(self._left + gained, UNASKED_BYTES)
        self._filled = now
        self._left -= len(data)
        if self._left >= 0:
            await super().parse(data)
        if self._left < 0 or self.needed - len(self.buf) > self._left:
            self.exceeded = True
            raise errors.ProtocolError


class BoundedClient(Client):
    """One connection, which is not renewed; see the module."""

    def __init__(self, config: NatsConfig, login: Login) -> None:
        super().__init__()
        self._config = config
        self._login = login
        self._bounded = _BoundedParser(self)
        self._ps = self._bounded
        self._public_nkey = login.public_key
        self.problem: Exception | None = None

    @property
    def flooded(self) -> bool:
        """Whether it was closed because more arrived than was asked for."""
        return self._bounded.exceeded

    def allow(self, size: int) -> None:
        """Let so many bytes more arrive, because they were asked for."""
        self._bounded.allow(size)

    async def open(self, seconds: float, closed: Callable[[], Awaitable[None]]) -> None:
        """Connect to one of the servers.

        Args:
            seconds: For each step of connecting.
            closed: Called when the connection has ended.

        Raises:
            JetStreamError: A certificate or key cannot be used.
            Exception: Whatever the library raises.
        """
        login = self._login
        signs = login.key is not None
        await self.connect(
            servers=list(self._config.servers),
            name="admissibility-sidecar",
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=seconds,  # type: ignore[arg-type]
            ping_interval=10,
            max_outstanding_pings=2,
            error_cb=self._note,
            closed_cb=closed,
            tls=_context(self._config),
            user=login.user,
            password=login.password,
            signature_cb=login.signature if signs else None,
            user_jwt_cb=None if login.jwt is None else login.jwt.encode,
        )

    async def _note(self, error: Exception) -> None:
        self.problem = error

    def _connect_command(self) -> bytes:
        if self._config.tls and not self._server_info.get("tls_required"):
            # Nothing was sent yet: an attacker who strips TLS from INFO gets no credentials.
            raise errors.SecureConnRequiredError
        self._auth_configured = self._login != Login()
        command: bytes = super()._connect_command()
        return command


def _context(config: NatsConfig) -> ssl.SSLContext:
    try:
        ca = None if config.ca is None else str(config.ca)
        context = ssl.create_default_context(cafile=ca)
        if config.certificate is not None and config.key is not None:
            # Without a callback OpenSSL would ask the terminal for a password.
            context.load_cert_chain(config.certificate, config.key, password="")
    except (OSError, ValueError) as error:
        named = ", ".join(str(path) for path in config.files)
        raise JetStreamError(f"{named} cannot be used: {error}") from error
    return context
