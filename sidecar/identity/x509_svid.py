"""Verifies an X.509-SVID (SPIFFE X509-SVID §2-5) from the client certificate Envoy sends.

Envoy proved that the peer holds the private key. The environment is read from the certificate
itself; the principal that Envoy sends must be equal to it. ``x509_path`` finds the root.

A certificate that is no X.509-SVID by its *form* (several URIs, a CA, no path) has a reason code of
its own and status 403: a new one would not help until its issuer is corrected. One that no root
issued, or that has expired, is 401, like a JWT-SVID.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import unquote

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from sidecar.core.call import Credential
from sidecar.core.reasons import AdmissibilityError, EvidenceError, Reason
from sidecar.core.spiffe_id import check_spiffe_id
from sidecar.identity import x509_path
from sidecar.identity.jwt_svid import domain_roots, invalid
from sidecar.identity.trust_bundles import TrustBundles

MAX_CERTIFICATE_CHARS = 32768
MAX_CHAIN_CHARS = 65536
KIND = "x509-svid"
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)


def verify(
    leaf: x509.Certificate,
    principal: str,
    bundles: TrustBundles,
    *,
    now: datetime,
    intermediates: Sequence[x509.Certificate] = (),
) -> Credential:
    """Verify an X.509-SVID; it expires with the first certificate of its path.

    Args:
        leaf: The certificate whose private key the peer, or the forwarded workload, holds.
        principal: The SPIFFE ID that the sender read from the certificate; may be empty.
        bundles: The trust bundles of the decision's trust state.
        now: The decision's reference time.
        intermediates: Further certificates for the path to a root. Their names are not used.

    Raises:
        AdmissibilityError: ``certificate_not_svid`` (403), ``credential_invalid``,
            ``credential_expired`` or ``trust_stale``.
    """
    spiffe_id = _named(leaf)
    if principal and principal != spiffe_id:
        raise invalid(
            "the principal or URI sent with the client certificate is not the SPIFFE ID in it"
        )
    trust_domain, roots = domain_roots(spiffe_id, bundles)
    ends = x509_path.expiry(leaf, intermediates, trust_domain, roots, now)
    if now < leaf.not_valid_before_utc:
        raise invalid("the client certificate is not valid yet")
    if leaf.not_valid_after_utc <= now:
        raise AdmissibilityError(Reason.CREDENTIAL_EXPIRED, "the client certificate has expired")
    return Credential(spiffe_id, trust_domain, KIND, ends, roots.authority)


def load(certificate: str) -> x509.Certificate:
    """Parse a URL-encoded PEM of exactly one certificate, without verifying it.

    Raises:
        AdmissibilityError: ``credential_invalid``.
    """
    if len(certificate) > MAX_CERTIFICATE_CHARS:
        raise invalid("the client certificate is not URL-encoded PEM")
    found = _parsed(certificate, "the client certificate")
    if len(found) != 1:
        raise invalid(f"{len(found)} client certificates were sent; expected one")
    return found[0]


def load_chain(chain: str) -> tuple[x509.Certificate, ...]:
    """Parse a URL-encoded PEM of certificates, leaf first, without verifying them.

    Raises:
        AdmissibilityError: ``credential_invalid``; also for more than a leaf, ``MAX_INTERMEDIATES``
            and a root.
    """
    if len(chain) > MAX_CHAIN_CHARS:
        raise invalid(f"the chain has {len(chain)} characters; at most {MAX_CHAIN_CHARS}")
    found = _parsed(chain, "the chain of the client certificate")
    most = x509_path.MAX_INTERMEDIATES + 2
    if len(found) > most:
        raise invalid(f"the chain has {len(found)} certificates; at most {most}, with the root")
    return found


def _parsed(text: str, what: str) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(unquote(text, errors="strict").encode()))
    except (ValueError, x509.InvalidVersion) as error:
        raise invalid(f"{what} is not URL-encoded PEM") from error


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
