"""Verifies the X.509-SVID that a trusted forwarder sends in ``x-forwarded-client-cert``.

Any client can write this header, and a certificate is public, so two conditions come first: the
operator names a ``trusted_forwarder`` on the route, and the peer's own X.509-SVID is verified and
names exactly that forwarder. The forwarder has then proved that the workload holds its private key.
Everything else is read from the certificate itself, as on a direct connection; other values of the
element must agree with it.

Envoy quotes neither ``By`` nor ``URI``, so a name that contains ``;`` adds pairs
(envoy#32945). The grammar here is narrower than the header's: what Envoy writes with
``SANITIZE_SET`` and ``{cert: true, chain: true, uri: true}``, in characters that need no quotes.

Without a trusted forwarder the header is no source of an identity. Its ``Chain`` may then only add
certificates to the search for a path from the connection's own certificate: a forged one leads
nowhere, as each certificate of a path must be signed by the next.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from sidecar.core.call import Credential
from sidecar.core.reasons import AdmissibilityError
from sidecar.identity import x509_svid
from sidecar.identity.jwt_svid import invalid
from sidecar.identity.trust_bundles import TrustBundles

HEADER = "x-forwarded-client-cert"
_NAME = re.compile(r"[A-Za-z0-9:/._-]+")
_PEM = re.compile(r'"[A-Za-z0-9%._~-]+"')
_VALUES = {
    "By": _NAME,
    "Hash": re.compile(r"[0-9a-f]{64}"),
    "Cert": _PEM,
    "Chain": _PEM,
    "URI": _NAME,
}


@dataclass(frozen=True, slots=True)
class Element:
    """One element of the header, unverified; an absent value is empty.

    Attributes:
        certificate: ``Cert``, URL-encoded PEM.
        chain: ``Chain``, URL-encoded PEM of the certificate and the intermediates above it.
        uri: ``URI``, the SPIFFE ID that the forwarder read from the certificate.
        sha256: ``Hash``, of the certificate in DER, in lower-case hex.
        by: ``By``, the forwarder's own SPIFFE ID.
    """

    certificate: str
    uri: str = ""
    sha256: str = ""
    by: str = ""
    chain: str = ""


def read(text: str) -> Element:
    """Parse a header of exactly one element that has a certificate, alone or first of a chain.

    Args:
        text: The header's value, as Latin-1.

    Raises:
        AdmissibilityError: ``credential_invalid``.
    """
    found: dict[str, str] = {}
    for pair in text.split(";"):
        key, equals, value = pair.partition("=")
        grammar = _VALUES.get(key)
        if not equals or grammar is None or not grammar.fullmatch(value) or key in found:
            raise invalid(
                f"{HEADER} must be one element of By, Hash, Cert, Chain and URI; have the operator"
                " set SANITIZE_SET with cert, chain and uri on the trusted forwarder"
            )
        found[key] = value
    if not found.keys() & {"Cert", "Chain"}:
        raise invalid(f"{HEADER} has no Cert; have the operator set cert on the trusted forwarder")
    return Element(
        certificate=found.get("Cert", "")[1:-1],
        chain=found.get("Chain", "")[1:-1],
        uri=found.get("URI", ""),
        sha256=found.get("Hash", ""),
        by=found.get("By", ""),
    )


def verify(
    text: str, trusted_forwarder: str, bundles: TrustBundles, *, now: datetime
) -> Credential:
    """Verify the X.509-SVID in a header whose sender is already verified.

    Args:
        text: The header's value, as Latin-1.
        trusted_forwarder: SPIFFE ID of the verified peer, which wrote the header.
        bundles: The trust bundles of the decision's trust state.
        now: The decision's reference time.

    Raises:
        AdmissibilityError: As for an X.509-SVID of a direct connection; ``credential_invalid``
            also if the header is not one element, or does not agree with its certificate.
    """
    element = read(text)
    if element.by not in ("", trusted_forwarder):
        raise invalid(f"By in {HEADER} is not the trusted forwarder")
    leaf, above = _certificates(element)
    credential = x509_svid.verify(leaf, element.uri, bundles, now=now, intermediates=above)
    if element.sha256 not in ("", leaf.fingerprint(hashes.SHA256()).hex()):
        raise invalid(f"Hash in {HEADER} is not the SHA-256 of its Cert")
    return credential


def intermediates(text: str | None) -> tuple[x509.Certificate, ...]:
    """Return the certificates of a header for the path of another certificate; none verified.

    Args:
        text: The header's value, as Latin-1, from any sender. ``None`` without the header.

    A header that cannot be parsed adds nothing, so that it can only make a path fail.
    """
    try:
        element = None if text is None else read(text)
        return () if element is None else x509_svid.load_chain(element.chain)[1:]
    except AdmissibilityError:
        return ()


def _certificates(element: Element) -> tuple[x509.Certificate, tuple[x509.Certificate, ...]]:
    """Return the workload's certificate, and those above it."""
    chain = x509_svid.load_chain(element.chain) if element.chain else ()
    if not element.certificate:
        return chain[0], chain[1:]
    leaf = x509_svid.load(element.certificate)
    if chain and chain[0] != leaf:
        raise invalid(f"Chain in {HEADER} does not begin with its Cert")
    return leaf, chain[1:]
