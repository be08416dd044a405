"""Reads the roots of a SPIFFE trust domain, and refuses private keys and leaf certificates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sidecar.authority.errors import AuthorityError
from sidecar.core import strict_json
from sidecar.core.documents import TrustDomain

MAX_JWKS_BYTES = 1 << 18
PUBLIC_KINDS = frozenset({"EC", "RSA", "OKP"})
_PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
_NAME = re.compile(r"[a-z0-9._-]{1,255}")


def read(name: str, jwks: bytes | None, x509_roots: Sequence[bytes]) -> TrustDomain:
    """Build a trust domain from a JWK Set and PEM files of CA certificates.

    Raises:
        AuthorityError: A private or symmetric key, a key without ``kid``, a certificate that is
            no CA, a bad name, or no root at all.
    """
    check_name(name)
    roots = tuple(pem for data in x509_roots for pem in _certificates(data))
    keys = None if jwks is None else _public_jwks(jwks)
    if keys is None and not roots:
        raise AuthorityError("give a JWK Set, X.509 roots, or both")
    return TrustDomain(name=name, jwks=keys, x509_roots=roots)


def build(name: str, jwks: Sequence[dict[str, Any]], x509_roots: Sequence[bytes]) -> TrustDomain:
    """Build a trust domain from JWKs and PEM certificates of CAs; none of either is valid.

    Raises:
        AuthorityError: As ``read``, except that there may be no root: everything is revoked then.
    """
    check_name(name)
    _check_keys(list(jwks))
    roots = tuple(pem for data in x509_roots for pem in _certificates(data))
    return TrustDomain(name, {"keys": list(jwks)} if jwks else None, roots)


def check_name(name: str) -> None:
    """Refuse what is not the name of a trust domain (SPIFFE-ID §2.1)."""
    if _NAME.fullmatch(name) is None:
        raise AuthorityError(f"{name!r} is not a SPIFFE trust domain name")


def _public_jwks(data: bytes) -> dict[str, object]:
    try:
        value = strict_json.loads_object(data, max_bytes=MAX_JWKS_BYTES)
    except strict_json.StrictJsonError as error:
        raise AuthorityError(f"JWK Set: {error}") from error
    keys = value.get("keys")
    if not isinstance(keys, list) or not keys:
        raise AuthorityError("JWK Set: it has no keys")
    _check_keys(keys)
    return value


def _check_keys(keys: list[Any]) -> None:
    names = [_check_key(key) for key in keys]
    if len(set(names)) != len(names):
        raise AuthorityError("JWK Set: two keys have the same kid")


def _check_key(key: object) -> str:
    if not isinstance(key, dict) or key.get("kty") not in PUBLIC_KINDS or _PRIVATE & set(key):
        raise AuthorityError("JWK Set: it must hold public keys only")
    name = key.get("kid")
    if not isinstance(name, str) or not name:
        raise AuthorityError("JWK Set: a key has no kid")
    return name


def _certificates(data: bytes) -> list[str]:
    try:
        found = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise AuthorityError("an X.509 root is not a PEM certificate") from error
    return [_ca_pem(certificate) for certificate in found]


def _ca_pem(certificate: x509.Certificate) -> str:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError) as error:
        raise AuthorityError("an X.509 root is not a CA: it has no basicConstraints") from error
    if not constraints.value.ca:
        raise AuthorityError("an X.509 root is not a CA")
    # A root may lack the key usage, as a trust anchor is a name and a key; the gate asks the same.
    for item in certificate.extensions:
        if isinstance(item.value, x509.KeyUsage) and not item.value.key_cert_sign:
            raise AuthorityError(
                "an X.509 root may not sign certificates: its keyUsage lacks keyCertSign"
            )
    return certificate.public_bytes(Encoding.PEM).decode("ascii")
