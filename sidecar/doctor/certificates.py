"""Checks the validity of the gateway's certificate, those in Envoy, and the client's SVID."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from sidecar.core.window import rfc3339
from sidecar.doctor.diagnosis import Diagnosis, fail, ok, warn
from sidecar.doctor.http_client import SECONDS, NoAnswerError, ask
from sidecar.doctor.installation import Installation

_RENEW = "Have it renewed; short-lived certificates need their agent running."
_NAME = "certificates"


def certificates(installation: Installation) -> tuple[Diagnosis, ...]:
    """Check that every certificate is valid now, and for a fifth of its lifetime more."""
    found: list[tuple[str, x509.Certificate]] = []
    notes = []
    try:
        if installation.gateway.tls is None:
            notes.append("the gateway speaks plain HTTP")
        else:
            found.append(("the gateway's", _presented(installation)))
        if installation.tls.certificate is not None:
            found.append(("the client's", _read(installation.tls.certificate)))
    except (OSError, ValueError) as error:
        return (
            fail(
                _NAME, f"{installation.gateway}: {error}", "Check --gateway, --ca, --client-cert."
            ),
        )
    now = datetime.now(UTC)
    problems = [line for whose, leaf in found for line in _problems(whose, leaf, now)]
    problems += list(_loaded(installation, now))
    if problems:
        return tuple(problems)
    notes += [
        f"{whose} holds until {rfc3339(leaf.not_valid_after_utc)}{_spiffe(leaf)}"
        for whose, leaf in found
    ]
    return (ok(_NAME, "; ".join(notes)),)


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


def _read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]


def _problems(whose: str, leaf: x509.Certificate, now: datetime) -> Iterator[Diagnosis]:
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if not begin <= now < end:
        yield fail(_NAME, f"{whose} holds from {rfc3339(begin)} to {rfc3339(end)}", _RENEW)
    elif end - now < (end - begin) / 5:
        yield warn(_NAME, f"{whose} ends at {rfc3339(end)}: a fifth of its life is left", _RENEW)


def _loaded(installation: Installation, now: datetime) -> Iterator[Diagnosis]:
    """Check the certificates of Envoy's ``/certs``, if its admin interface permits that."""
    with suppress(NoAnswerError, KeyError, TypeError, ValueError):
        reply = ask(installation.admin, "/certs")
        if reply.status != 200:
            return
        for entry in reply.json()["certificates"]:
            for part in (*entry.get("cert_chain", []), *entry.get("ca_cert", [])):
                end = datetime.fromisoformat(part["expiration_time"])
                if end <= now:
                    yield fail(_NAME, f"Envoy's {part['path']} ended at {rfc3339(end)}", _RENEW)


def _spiffe(leaf: x509.Certificate) -> str:
    try:
        names = leaf.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        return ""
    assert isinstance(names, x509.SubjectAlternativeName)
    ids = names.get_values_for_type(x509.UniformResourceIdentifier)
    return f" ({ids[0]})" if len(ids) == 1 else ""
