"""The TLS context of a server, whose certificate is read again when its files change."""

from __future__ import annotations

import asyncio
import logging
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sidecar.tls.validity import served_too_long

_LOG = logging.getLogger("sidecar.tls")

RELOAD_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A server's certificate chain and private key (PEM), and whose clients it serves.

    Attributes:
        certificate: The chain.
        key: The private key.
        client_ca: CAs whose clients are served; ``None`` for every client.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Return a context with what the files hold now.

        Raises:
            OSError: A file cannot be read, or the pair does not fit (``ssl.SSLError``).
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._load(context)
        if self.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.client_ca)
        return context

    async def follow(self, context: ssl.SSLContext) -> None:
        """Use a certificate that was rotated for new connections, until cancelled.

        Logs a warning, once, when a file ends soon and when it has ended.
        """
        seen = self._stamps()
        warned: tuple[str, ...] = ()
        while True:
            ending = served_too_long(self.certificate, self.client_ca, datetime.now(UTC))
            for text in ending:
                if text not in warned:
                    _LOG.warning(text)
            warned = ending
            await asyncio.sleep(RELOAD_SECONDS)
            if (now := self._stamps()) == seen:
                continue
            try:
                self.context()  # a pair that does not fit leaves the one in use
                self._load(context)
            except (OSError, ssl.SSLError):
                continue  # half of the pair was replaced; the other half follows
            seen = now

    def _load(self, context: ssl.SSLContext) -> None:
        # Without a password OpenSSL would ask the terminal for one.
        context.load_cert_chain(self.certificate, self.key, password="")

    def _stamps(self) -> tuple[tuple[int, int], ...]:
        try:
            found = [path.stat() for path in (self.certificate, self.key)]
        except OSError:
            return ()
        return tuple((each.st_mtime_ns, each.st_ino) for each in found)
