"""``x-forwarded-client-cert``: the workload's X.509-SVID, told by the hop that ended its TLS.

Any client can write this header, and a certificate is no secret, so two conditions come first: the
operator names a ``trusted_forwarder`` on the route, and the peer's own X.509-SVID is verified and
names exactly that forwarder. The forwarder then vouches that the workload holds its private key.
Everything else is read from the certificate itself, as on a direct connection; other values of the
element may only agree with it.

Envoy quotes neither ``By`` nor ``URI``, so a name with ``;`` in it writes further pairs
(envoy#32945). The grammar here is narrower than the header's: what Envoy writes with
``SANITIZE_SET`` and ``{cert: true, uri: true}``, in characters that need no quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives import hashes

from sidecar.core.call import Credential
from sidecar.identity import x509_svid
from sidecar.identity.jwt_svid import invalid
from sidecar.identity.trust_bundles import TrustBundles

HEADER = "x-forwarded-client-cert"
_NAME = re.compile(r"[A-Za-z0-9:/._-]+")
_VALUES = {
    "By": _NAME,
    "Hash": re.compile(r"[0-9a-f]{64}"),
    "Cert": re.compile(r'"[A-Za-z0-9%._~-]+"'),
    "URI": _NAME,
}


@dataclass(frozen=True, slots=True)
class Element:
    """One client, as a hop describes it. Nothing of it is verified; empty is what was not said.

    Attributes:
        certificate: URL-encoded PEM.
        uri: What the hop took from the certificate.
        sha256: Of the certificate in DER, in lower-case hex.
        by: The hop's own name.
    """

    certificate: str
    uri: str = ""
    sha256: str = ""
    by: str = ""


def read(text: str) -> Element:
    """Read a header that describes exactly one client by its certificate.

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
                f"{HEADER} is not one element of By, Hash, Cert and URI: have the operator set"
                " SANITIZE_SET with cert and uri on the hop before"
            )
        found[key] = value
    if "Cert" not in found:
        raise invalid(f"{HEADER} has no certificate: have the operator set cert on the hop before")
    return Element(
        certificate=found["Cert"][1:-1],
        uri=found.get("URI", ""),
        sha256=found.get("Hash", ""),
        by=found.get("By", ""),
    )


def verify(
    text: str, trusted_forwarder: str, bundles: TrustBundles, *, now: datetime
) -> Credential:
    """Verify the X.509-SVID in a header whose author is already proven.

    Args:
        text: The header's value, as Latin-1.
        trusted_forwarder: SPIFFE ID of the verified peer, which wrote the header.
        bundles: Of the trust state this decision relies on.
        now: The decision's reference time.

    Raises:
        AdmissibilityError: As for an X.509-SVID of a direct connection; ``credential_invalid``
            also where the header is not one element, or does not agree with its certificate.
    """
    element = read(text)
    if element.by not in ("", trusted_forwarder):
        raise invalid(f"{HEADER} was written by another hop than the one it came from")
    credential = x509_svid.verify(element.certificate, element.uri, bundles, now=now)
    digest = x509_svid.load(element.certificate).fingerprint(hashes.SHA256()).hex()
    if element.sha256 not in ("", digest):
        raise invalid(f"the Hash in {HEADER} is not that of its certificate")
    return credential
