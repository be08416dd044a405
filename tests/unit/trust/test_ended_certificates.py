"""Where a connection fails for a certificate of our own that ended, the error names its file.

TLS says that a certificate expired and not whose: an operator would look at the other machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.core.window import rfc3339
from sidecar.jetstream.session import NatsLimits
from sidecar.trust.http_connection import HttpLimits
from sidecar.trust.http_source import HttpsSource
from sidecar.trust.nats_source import NatsSource
from sidecar.trust.source import SourceError
from sidecar.trust.source_config import HttpsSourceConfig
from tests.support.https_server import certificate
from tests.support.https_server import serving as https_server
from tests.support.nats_server import nats_server, needs_nats
from tests.support.simulator.svid import Issuer, pem

NAME = "metadata/timestamp.json"
NOW = datetime.now(UTC).replace(microsecond=0)
LONG_AGO = NOW - timedelta(days=400)
Fetch = Callable[[Path, Path], None]
"""Reads a file of a server with these CAs and this client certificate."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a client has: CAs and its own certificate, in force and ended."""

    cas: Path
    ended_cas: Path
    own: Path
    ended_own: Path


@contextmanager
def https(folder: Path) -> Iterator[tuple[Fetch, Held]]:
    clients, server = Issuer(), Issuer()
    (folder / "clients.pem").write_text(pem(clients.root(NOW)))
    with https_server(folder, client_ca=folder / "clients.pem", issuer=server) as found:

        def fetch(ca: Path, own: Path) -> None:
            config = HttpsSourceConfig(f"{found.url}/acme", ca, own, own)
            limits = HttpLimits(step=3, total=6, attempts=1)
            with closing(HttpsSource(config, limits)) as source:
                source.fetch(NAME, 100)

        yield fetch, held(folder, server, clients)


@contextmanager
def nats(folder: Path) -> Iterator[tuple[Fetch, Held]]:
    clients, server = Issuer(), Issuer()
    trusted = folder / "clients.pem"
    trusted.write_text(pem(clients.root(NOW)))
    served = certificate(folder, server, "server.pem")
    files = f'cert_file: "{served}", key_file: "{served}", ca_file: "{trusted}"'
    with nats_server(folder, f"tls {{ {files}, verify: true }}", "tls") as found:

        def fetch(ca: Path, own: Path) -> None:
            config = replace(found.config("trust/acme"), ca=ca, certificate=own, key=own)
            with closing(NatsSource(config, NatsLimits(step=3, total=6))) as source:
                source.fetch(NAME, 100)

        yield fetch, held(folder, server, clients)


def held(folder: Path, server: Issuer, clients: Issuer) -> Held:
    cas, ended = folder / "cas.pem", folder / "ended-cas.pem"
    cas.write_text(pem(server.root(NOW)))
    ended.write_text(pem(server.root(LONG_AGO)))
    own = certificate(folder, clients, "own.pem")
    return Held(cas, ended, own, certificate(folder, clients, "ended.pem", LONG_AGO))


@pytest.mark.parametrize(
    "served", [https, pytest.param(nats, marks=[needs_nats, pytest.mark.slow])]
)
def test_a_certificate_of_our_own_that_ended_is_named_with_its_file(
    tmp_path: Path, served: Callable[[Path], AbstractContextManager[tuple[Fetch, Held]]]
) -> None:
    def message(ca: Path, own: Path) -> str:
        with pytest.raises(SourceError) as caught:
            fetch(ca, own)
        return str(caught.value)

    with served(tmp_path) as (fetch, files):
        ended = {
            files.ended_cas: rfc3339(LONG_AGO + timedelta(days=365)),
            files.ended_own: rfc3339(LONG_AGO + timedelta(hours=1)),
        }
        told = {path: f"; {path} has a certificate that ended at {ended[path]}" for path in ended}
        assert "certificate" not in message(files.cas, files.own)
        assert message(files.ended_cas, files.own) == (
            f"{NAME}: the server's certificate: certificate has expired{told[files.ended_cas]}"
        )
        # What OpenSSL reads of the refusal depends on which side is faster.
        assert re.fullmatch(
            rf"{NAME}: [\w :.()]+{re.escape(told[files.ended_own])}",
            message(files.cas, files.ended_own),
        )
