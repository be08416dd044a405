"""Checks when certificates end: the gateway's, Envoy's, the client's, and those for sources."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from sidecar.core.window import rfc3339
from sidecar.doctor.diagnosis import Diagnosis, fail, ok, warn
from sidecar.doctor.http_client import SECONDS, NoAnswerError, ask
from sidecar.doctor.installation import Installation
from sidecar.tls.validity import certificates_of, soon
from sidecar.trust.config import TrustConfigError, load
from sidecar.trust.source_config import DirectorySourceConfig

_RENEW = "Have it renewed; short-lived certificates need their agent running."
_NAME = "certificates"


def certificates(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check that every certificate is valid now, and for a fifth of its lifetime more."""
    try:
        found, notes = _gateways(installation)
    except (OSError, ValueError) as error:
        found, notes = [], []
        unread = [
            fail(_NAME, f"{installation.gateway}: {error}", "Check --gateway, --ca, --client-cert.")
        ]
    else:
        unread = []
    now = datetime.now(UTC)
    notes += [
        f"{whose} holds until {rfc3339(leaf.not_valid_after_utc)}{_spiffe(leaf)}"
        for whose, leaf in found
    ]
    own = tuple(_of_sources(installation))
    if own:
        whose, first = min(own, key=lambda each: each[1].not_valid_after_utc)
        ends = rfc3339(first.not_valid_after_utc)
        notes.append(f"of {len(own)} for sources, the first to end is {whose}, at {ends}")
    problems = [
        line
        for whose, leaf in (*found, *_roots(installation), *own)
        for line in _held(whose, leaf.not_valid_before_utc, leaf.not_valid_after_utc, now)
    ]
    problems += [*unread, *_loaded(installation, now)]
    return tuple(problems) or (ok(_NAME, "; ".join(notes)),)


def _gateways(installation: Installation) -> tuple[list[tuple[str, x509.Certificate]], list[str]]:
    """Return the certificates of the connection to the gateway, and what else is to be noted.

    Raises:
        OSError: The gateway presents none, or a file cannot be read.
        ValueError: One is malformed.
    """
    tls = installation.tls
    found, notes = [], []
    if installation.gateway.tls is None:
        notes.append("the gateway speaks plain HTTP")
    else:
        found.append(("the gateway's", _presented(installation)))
    if tls.certificate is not None:
        found.append(("the client's", certificates_of(tls.certificate)[0]))
    return found, notes


def _roots(installation: Installation) -> Iterator[tuple[str, x509.Certificate]]:
    """Yield the last of the roots in ``--ca``; what else is wrong with them, the canaries name."""
    if installation.tls.ca is not None:
        with suppress(OSError, ValueError):
            roots = certificates_of(installation.tls.ca)
            yield f"--ca {installation.tls.ca}", max(roots, key=_until)


def _of_sources(installation: Installation) -> Iterator[tuple[str, x509.Certificate]]:
    """Yield, for each file that ``trust.yaml`` names, the certificate with which it ends.

    A chain ends with the first of its certificates, a bundle of CAs with the last. What cannot be
    read is named by the check of the sources.
    """
    if installation.config is None:
        return
    with suppress(TrustConfigError):
        trusted = load(installation.config.trust)
        sources = [*(each.source for each in trusted.authorities), *trusted.evidence]
        read = [each for each in sources if not isinstance(each, DirectorySourceConfig)]
        for path in dict.fromkeys(each.certificate for each in read if each.certificate):
            with suppress(OSError, ValueError):
                yield str(path), min(certificates_of(path), key=_until)
        for path in dict.fromkeys(each.ca for each in read if each.ca):
            with suppress(OSError, ValueError):
                yield str(path), max(certificates_of(path), key=_until)


def _until(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_after_utc


def _presented(installation: Installation) -> x509.Certificate:
    """Return the presented leaf; the canary's connection verifies its chain."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    place, tls = installation.gateway, installation.tls
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    with (
        socket.create_connection((place.host, place.port), timeout=SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=place.host) as stream,
    ):
        der = stream.getpeercert(binary_form=True)
    if der is None:
        raise ValueError("no certificate was presented")
    return x509.load_der_x509_certificate(der)


def _held(whose: str, begin: datetime, end: datetime, now: datetime) -> Iterator[Diagnosis]:
    if not begin <= now < end:
        yield fail(_NAME, f"{whose} holds from {rfc3339(begin)} to {rfc3339(end)}", _RENEW)
    elif soon(begin, end, now):
        yield warn(_NAME, f"{whose} ends at {rfc3339(end)}: a fifth of its life is left", _RENEW)


def _loaded(installation: Installation, now: datetime) -> Iterator[Diagnosis]:
    """Check the certificates of Envoy's ``/certs``, if its admin interface permits that."""
    with suppress(NoAnswerError, KeyError, TypeError, ValueError):
        reply = ask(installation.admin, "/certs")
        if reply.status != 200:
            return
        for entry in reply.json()["certificates"]:
            for part in (*entry.get("cert_chain", []), *entry.get("ca_cert", [])):
                begin, end = (
                    datetime.fromisoformat(part[name]) for name in ("valid_from", "expiration_time")
                )
                yield from _held(f"Envoy's {part['path']}", begin, end, now)


def _spiffe(leaf: x509.Certificate) -> str:
    try:
        names = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        return ""
    assert isinstance(names, x509.SubjectAlternativeName)
    ids = names.get_values_for_type(x509.UniformResourceIdentifier)
    return f" ({ids[0]})" if len(ids) == 1 else ""
