"""Verifies an X.509-SVID (SPIFFE X509-SVID §2-5) from the client certificate Envoy sends.

Envoy proved that the peer holds the private key. The environment is read from the certificate
itself; the principal that Envoy sends must be equal to it.

A certificate that is no X.509-SVID by its *form* (several URIs, a CA, no path) has a reason code of
its own and status 403: a new one would not help until its issuer is corrected. One that no root
issued, or that has expired, is 401, like a JWT-SVID.
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
from sidecar.identity.jwt_svid import domain_roots, invalid
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
        principal: The SPIFFE ID that the sender read from the certificate; may be empty.
        bundles: The trust bundles of the decision's trust state.
        now: The decision's reference time.

    Raises:
        AdmissibilityError: ``certificate_not_svid`` (403), ``credential_invalid``,
            ``credential_expired`` or ``trust_stale``.
    """
    leaf = load(certificate)
    spiffe_id = _named(leaf)
    if principal and principal != spiffe_id:
        raise invalid(
            "the principal or URI sent with the client certificate is not the SPIFFE ID in it"
        )
    trust_domain, roots = domain_roots(spiffe_id, bundles)
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
    """Parse a URL-encoded PEM of exactly one certificate, without verifying it.

    Raises:
        AdmissibilityError: ``credential_invalid``.
    """
    try:
        if len(certificate) > MAX_CERTIFICATE_CHARS:
            raise ValueError("too long")
        found = x509.load_pem_x509_certificates(unquote(certificate, errors="strict").encode())
    except (ValueError, x509.InvalidVersion) as error:
        raise invalid("the client certificate is not URL-encoded PEM") from error
    if len(found) != 1:
        raise invalid(f"{len(found)} client certificates were sent; expected one")
    return found[0]


def _named(leaf: x509.Certificate) -> str:
    """Return the SPIFFE ID of a certificate, which must have the form of an X.509-SVID."""
    try:
        spiffe_id = _leaf_id(leaf)
        check_spiffe_id(spiffe_id)
    except EvidenceError as error:
        raise _no_svid(str(error)) from error
    except x509.ExtensionNotFound as error:
        raise _no_svid("it has no key usage, or no subject alternative name") from error
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise _no_svid("its extensions cannot be parsed") from error
    return spiffe_id


def _no_svid(why: str) -> AdmissibilityError:
    return AdmissibilityError(
        Reason.CERTIFICATE_NOT_SVID, f"the client certificate is no X.509-SVID: {why}"
    )


def _leaf_id(leaf: x509.Certificate) -> str:
    """Return the one URI SAN of a leaf that may sign and is no CA (X509-SVID §2, §4)."""
    extensions = leaf.extensions
    if any(item.critical and item.oid not in _UNDERSTOOD for item in extensions):
        raise EvidenceError("it has a critical extension that is not supported")
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    if not usage.digital_signature or usage.key_cert_sign or usage.crl_sign:
        raise EvidenceError(
            "its key usage must have digitalSignature, and no keyCertSign or cRLSign"
        )
    for item in extensions:
        if isinstance(item.value, x509.BasicConstraints) and item.value.ca:
            raise EvidenceError("it is a CA")
        if (
            isinstance(item.value, x509.ExtendedKeyUsage)
            and ExtendedKeyUsageOID.CLIENT_AUTH not in item.value
        ):
            raise EvidenceError("its extended key usage lacks clientAuth")
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise EvidenceError(f"it has {len(uris)} URI SANs; expected one")
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
