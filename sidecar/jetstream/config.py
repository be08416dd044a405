"""The URL of a place in NATS JetStream, and the files with which a client authenticates."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

SCHEMES = ("nats", "tls")
FORM = "tls://HOST[:PORT][,HOST[:PORT]]/BUCKET[/FOLDER] without user, query and fragment"
_PORT = 4222
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}")
_MAX_HOSTS = 16


@dataclass(frozen=True, slots=True)
class NatsConfig:
    """A folder in a bucket, and how client and server authenticate.

    Attributes:
        url: As given, without a slash at its end.
        servers: ``nats://HOST:PORT`` of each server of the cluster.
        tls: TLS is required, whatever a server offers.
        bucket: Name of the key-value bucket and of the object store.
        folder: Names of the folders below the bucket.
        ca: PEM certificates that replace the system's CAs.
        certificate: The client's chain, PEM, for mutual TLS.
        key: The client's private key, PEM.
        credentials: A ``.creds`` file: the user's JWT and NKey seed.
        nkey: File with an NKey seed.
        user: File with ``USER:PASSWORD``.
    """

    url: str
    servers: tuple[str, ...]
    tls: bool
    bucket: str
    folder: tuple[str, ...]
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    credentials: Path | None = None
    nkey: Path | None = None
    user: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read for each connection."""
        found = (self.ca, self.certificate, self.key, self.credentials, self.nkey, self.user)
        return tuple(path for path in found if path is not None)


def is_nats(url: str) -> bool:
    """Return whether a URL is one of NATS."""
    return url.partition("://")[0] in SCHEMES


def parse(url: str) -> NatsConfig:
    """Parse a URL such as ``tls://nats.example:4222/admissibility/acme``.

    Raises:
        ValueError: It is not of the form; the text shows no password.
    """
    scheme, _, rest = url.partition("://")
    hosts, _, path = rest.partition("/")
    names = tuple(path.rstrip("/").split("/"))
    well_formed = (
        scheme in SCHEMES
        and url.isascii()
        and url.isprintable()
        and "@" not in hosts
        and len(hosts.split(",")) <= _MAX_HOSTS
        and all(_TOKEN.fullmatch(name) for name in names)
    )
    servers = tuple(_server(host) for host in hosts.split(",")) if well_formed else (None,)
    known = tuple(server for server in servers if server is not None)
    if len(known) != len(servers):
        shown = "the URL, which names a user," if "@" in hosts else repr(url)
        raise ValueError(f"{shown} is not {FORM}")
    return NatsConfig(url.rstrip("/"), known, scheme == "tls", names[0], names[1:])


def checked(config: NatsConfig) -> NatsConfig:
    """Return the configuration, whose login can be used.

    Raises:
        ValueError: Several logins, a password that would be sent in clear, or TLS files without
            TLS.
    """
    logins = [each for each in (config.credentials, config.nkey, config.user) if each is not None]
    if len(logins) > 1:
        raise ValueError("has several logins; give one of a .creds file, an NKey and a user")
    if not config.tls and config.user is not None:
        raise ValueError("a password needs TLS; give tls:// instead of nats://")
    if not config.tls and (config.ca is not None or config.certificate is not None):
        raise ValueError("certificates need TLS; give tls:// instead of nats://")
    return config


def _server(host: str) -> str | None:
    try:
        parts = urlsplit(f"nats://{host}")
        port = _PORT if parts.port is None else parts.port
    except ValueError:
        return None
    if not parts.hostname or port == 0 or parts.query or parts.fragment or " " in host:
        return None
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"nats://{name}:{port}"
