"""Collects what the checks examine: the operator's files, and the address of each part."""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sidecar.doctor.http_client import HttpAddress
from sidecar.formats.addresses import split_address
from sidecar.opa.client import UNIX
from sidecar.service import config
from sidecar.service.config import ConfigError, SidecarConfig

DEFAULT_GATE = "127.0.0.1:9191"
DEFAULT_STATUS = "127.0.0.1:9464"
_MAX_READY_BYTES = 1 << 16
_PORTS = {"http": 80, "https": 443}


class DoctorError(Exception):
    """An option of the command cannot be used; the message is one line."""


@dataclass(frozen=True, slots=True)
class Tls:
    """The TLS settings for a gateway.

    Attributes:
        ca: Trusted roots, PEM; the host name is not checked then, because an X.509-SVID has none.
            ``None`` for the system's roots, with a check of the host name.
        certificate: The client's chain, PEM, if the gateway requires one.
        key: The client's private key, PEM.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything that the checks examine.

    Attributes:
        path: The gate's ``sidecar.yaml``.
        config: Its content; ``None`` if it is not valid.
        config_error: Why it is not valid.
        gate: The gate's ext_authz service.
        status: The gate's HTTP endpoint.
        admin: Envoy's admin interface.
        gateway: Envoy's listener for applications.
        tls: TLS settings for it.
        private: Further files that only their owner may read.
        time_source: Another web server, whose clock is compared.
    """

    path: Path
    config: SidecarConfig | None
    config_error: str
    gate: HttpAddress
    status: HttpAddress
    admin: HttpAddress
    gateway: HttpAddress
    tls: Tls = Tls()
    private: tuple[Path, ...] = ()
    time_source: HttpAddress | None = None


def find_installation(
    path: Path,
    *,
    envoy_admin: str,
    gateway: str,
    tls: Tls = Tls(),
    private: tuple[Path, ...] = (),
    time_source: str | None = None,
) -> Installation:
    """Read the configuration and find the address of each part.

    Ports that the kernel chose are read from the gate's ``ready_file``.

    Raises:
        DoctorError: An address, a URL or a file for TLS cannot be used.
    """
    try:
        found, error = config.load(path), ""
    except ConfigError as problem:
        found, error = None, str(problem)
    listen, status = addresses(found)
    files = (tls.certificate, tls.key) if tls.certificate is not None else ()
    return Installation(
        path=path,
        config=found,
        config_error=error,
        gate=_place(listen, "gate"),
        status=_place(status, "metrics"),
        admin=_place(envoy_admin, "--envoy-admin"),
        gateway=_url(gateway, "--gateway", tls),
        tls=tls,
        private=(*private, *(file for file in files[1:] if file is not None)),
        time_source=None if time_source is None else _url(time_source, "--time-source", Tls()),
    )


def addresses(found: SidecarConfig | None) -> tuple[str, str]:
    """Return where a gate listens and where it serves its status, as a machine beside it asks.

    Ports that the kernel chose are read from the gate's ``ready_file``.
    """
    if found is None:
        return DEFAULT_GATE, DEFAULT_STATUS
    listen, status = found.listen, found.metrics
    if found.ready_file is not None:
        try:
            with found.ready_file.open("rb") as file:
                report = json.loads(file.read(_MAX_READY_BYTES))
            listen, status = str(report["listen"]), str(report["metrics"])
        except (OSError, ValueError, KeyError, TypeError):
            pass  # not ready, or not running: the check of the gate reports it
    return listen, status


def _place(text: str, what: str) -> HttpAddress:
    if text.startswith(UNIX):
        return HttpAddress(text.removeprefix(UNIX), None)
    try:
        host, port = split_address(text)
    except ValueError as error:
        raise DoctorError(f"{what}: {text!r} is not HOST:PORT") from error
    wildcard = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - asked, not listened on
    return HttpAddress(wildcard.get(host, host), port)


def _url(text: str, what: str, tls: Tls) -> HttpAddress:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise DoctorError(f"{what}: {text!r} is not a URL") from error
    if url.scheme not in _PORTS or not url.hostname:
        raise DoctorError(f"{what}: {text!r} must begin with http:// or https://")
    context = _context(tls) if url.scheme == "https" else None
    return HttpAddress(url.hostname, port or _PORTS[url.scheme], context)


def _context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        context.check_hostname = tls.ca is None
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise DoctorError(f"TLS files: {error.strerror or error}") from error
    return context
