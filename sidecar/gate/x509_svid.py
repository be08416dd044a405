"""X.509-SVID (SPIFFE X509-SVID §2-5), as Envoy hands over the certificate of an mTLS connection.

Envoy proved that the peer holds the private key. Whether the certificate vouches for an environment
is decided here, from the certificate itself: ``source.principal`` must only agree with it, and
``x-forwarded-client-cert``, which anyone can write, is never looked at.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from sidecar.core.call import Credential
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.gate.jwt_svid import invalid, vouching
from sidecar.gate.keyring import Keyring

MAX_CERTIFICATE_CHARS = 32768
KIND = "x509-svid"
_HASHES = frozenset({"sha256", "sha384", "sha512"})
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)


def verify(certificate: str, principal: str, keyring: Keyring, *, now: datetime) -> Credential:
    """Verify an X.509-SVID.

    Args:
        certificate: URL-encoded PEM of exactly one certificate.
        principal: What Envoy took from the same certificate; may be empty.
        keyring: Of the trust state this decision relies on.
        now: The decision's reference time.

    Raises:
        AdmissibilityError: ``credential_invalid``, ``credential_expired`` or ``trust_stale``.
    """
    leaf = _load(certificate)
    try:
        spiffe_id = _leaf_id(leaf)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        raise invalid("the client certificate is not an X.509-SVID") from error
    if principal and principal != spiffe_id:
        raise invalid("the client certificate and the connection's principal disagree")
    trust_domain, roots = vouching(spiffe_id, keyring)
    root = next((root for root in roots.x509_roots if _issued(leaf, root, now)), None)
    if root is None:
        raise invalid("no root of the trust domain issued the client certificate")
    if now < leaf.not_valid_before_utc:
        raise invalid("the client certificate is not valid yet")
    expires = min(leaf.not_valid_after_utc, root.not_valid_after_utc)
    if expires <= now:
        raise AdmissibilityError(Reason.CREDENTIAL_EXPIRED, "the client certificate has expired")
    return Credential(spiffe_id, trust_domain, KIND, expires, roots.authority)


def _load(certificate: str) -> x509.Certificate:
    try:
        if len(certificate) > MAX_CERTIFICATE_CHARS:
            raise ValueError("too long")
        found = x509.load_pem_x509_certificates(unquote(certificate, errors="strict").encode())
    except ValueError as error:
        raise invalid("the client certificate cannot be read") from error
    if len(found) != 1:
        raise invalid("there is not exactly one client certificate")
    return found[0]


def _leaf_id(leaf: x509.Certificate) -> str:
    """The one URI SAN of a leaf that may sign and is no CA (X509-SVID §2, §4)."""
    extensions = leaf.extensions
    if any(item.critical and item.oid not in _UNDERSTOOD for item in extensions):
        raise ValueError("a critical extension that is not understood")
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    if not usage.digital_signature or usage.key_cert_sign or usage.crl_sign:
        raise ValueError("the key usage is not that of a leaf")
    for item in extensions:
        if isinstance(item.value, x509.BasicConstraints) and item.value.ca:
            raise ValueError("a CA")
        if (
            isinstance(item.value, x509.ExtendedKeyUsage)
            and ExtendedKeyUsageOID.CLIENT_AUTH not in item.value
        ):
            raise ValueError("not for clients")
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise ValueError("not exactly one URI")
    return uris[0]


def _issued(leaf: x509.Certificate, root: x509.Certificate, now: datetime) -> bool:
    if not root.not_valid_before_utc <= now < root.not_valid_after_utc:
        return False
    try:
        algorithm = leaf.signature_hash_algorithm
        leaf.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return algorithm is None or algorithm.name in _HASHES
