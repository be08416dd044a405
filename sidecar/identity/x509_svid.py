"""X.509-SVID (SPIFFE X509-SVID §2-5), as Envoy hands over the certificate of an mTLS connection.

Envoy proved that the peer holds the private key. Whether the certificate vouches for an environment
is decided here, from the certificate itself; what a gateway says it names must only agree with it.

A certificate of the wrong *form* (several URIs, a CA, a path that is none) is told by a code and a
status of its own, 403: no fresh one would be any better until its issuer is set right. One that
nobody vouches for, or that has expired, is 401, as a JWT-SVID would be.
"""

from __future__ import annotations

from datetime import datetime
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from sidecar.core.call import Credential
from sidecar.core.evidence import check_spiffe_id
from sidecar.core.reasons import AdmissibilityError, EvidenceError, Reason
from sidecar.identity.jwt_svid import invalid, vouching
from sidecar.identity.trust_bundles import TrustBundles

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


def verify(certificate: str, principal: str, bundles: TrustBundles, *, now: datetime) -> Credential:
    """Verify an X.509-SVID.

    Args:
        certificate: URL-encoded PEM of exactly one certificate.
        principal: What a gateway took from the same certificate; may be empty.
        bundles: Of the trust state this decision relies on.
        now: The decision's reference time.

    Raises:
        AdmissibilityError: ``certificate_not_svid`` (403), ``credential_invalid``,
            ``credential_expired`` or ``trust_stale``.
    """
    leaf = load(certificate)
    spiffe_id = _named(leaf)
    if principal and principal != spiffe_id:
        raise invalid("the client certificate does not name whom the gateway says it names")
    trust_domain, roots = vouching(spiffe_id, bundles)
    root = next((root for root in roots.x509_roots if _issued(leaf, root, now)), None)
    if root is None:
        raise invalid("no root of the trust domain issued the client certificate")
    if now < leaf.not_valid_before_utc:
        raise invalid("the client certificate is not valid yet")
    expires = min(leaf.not_valid_after_utc, root.not_valid_after_utc)
    if expires <= now:
        raise AdmissibilityError(Reason.CREDENTIAL_EXPIRED, "the client certificate has expired")
    return Credential(spiffe_id, trust_domain, KIND, expires, roots.authority)


def load(certificate: str) -> x509.Certificate:
    """Read a URL-encoded PEM of exactly one certificate; nothing of it is verified.

    Raises:
        AdmissibilityError: ``credential_invalid``.
    """
    try:
        if len(certificate) > MAX_CERTIFICATE_CHARS:
            raise ValueError("too long")
        found = x509.load_pem_x509_certificates(unquote(certificate, errors="strict").encode())
    except (ValueError, x509.InvalidVersion) as error:
        raise invalid("the client certificate cannot be read") from error
    if len(found) != 1:
        raise invalid("there is not exactly one client certificate")
    return found[0]


def _named(leaf: x509.Certificate) -> str:
    """The SPIFFE ID of a certificate that has the form of an X.509-SVID."""
    try:
        spiffe_id = _leaf_id(leaf)
        check_spiffe_id(spiffe_id)
    except EvidenceError as error:
        raise _no_svid(str(error)) from error
    except x509.ExtensionNotFound as error:
        raise _no_svid("it has no key usage, or no names") from error
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise _no_svid("its extensions cannot be read") from error
    return spiffe_id


def _no_svid(why: str) -> AdmissibilityError:
    return AdmissibilityError(
        Reason.CERTIFICATE_NOT_SVID, f"the client certificate is no X.509-SVID: {why}"
    )


def _leaf_id(leaf: x509.Certificate) -> str:
    """The one URI SAN of a leaf that may sign and is no CA (X509-SVID §2, §4)."""
    extensions = leaf.extensions
    if any(item.critical and item.oid not in _UNDERSTOOD for item in extensions):
        raise EvidenceError("a critical extension is not understood")
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    if not usage.digital_signature or usage.key_cert_sign or usage.crl_sign:
        raise EvidenceError("its key usage is not that of a leaf")
    for item in extensions:
        if isinstance(item.value, x509.BasicConstraints) and item.value.ca:
            raise EvidenceError("it is a CA")
        if (
            isinstance(item.value, x509.ExtendedKeyUsage)
            and ExtendedKeyUsageOID.CLIENT_AUTH not in item.value
        ):
            raise EvidenceError("it is not for clients")
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise EvidenceError(f"it has {len(uris)} URIs, not one")
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
