"""Parses a SPIFFE bundle: the X.509 and JWT authorities of one trust domain.

The format is that of SPIFFE Trust Domain and Bundle §4: an RFC 7517 JWK Set whose entries say what
they are for by ``use`` (``x509-svid`` with one CA certificate in ``x5c``, X509-SVID §6.2;
``jwt-svid`` with a ``kid``, JWT-SVID §6.2). Entries with an unknown ``kty`` or ``use`` are skipped,
as §4.2 requires, and named. An empty set is valid: it revokes every key before it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sidecar.authority import trust_domains
from sidecar.authority.errors import AuthorityError
from sidecar.core import strict_json
from sidecar.core.documents import TrustDomain

MAX_BUNDLE_BYTES = 1 << 20
X509_SVID, JWT_SVID = "x509-svid", "jwt-svid"


@dataclass(frozen=True, slots=True)
class TrustBundle:
    """A SPIFFE bundle.

    Attributes:
        domain: The trust domain with its roots, as it is published.
        sequence: ``spiffe_sequence``: grows with every change, or ``None`` where it is not given.
        refresh_hint: ``spiffe_refresh_hint`` in seconds, or ``None``.
        skipped: Entries that were not read, one short text each.
    """

    domain: TrustDomain
    sequence: int | None = None
    refresh_hint: int | None = None
    skipped: tuple[str, ...] = ()


def parse(name: str, data: bytes) -> TrustBundle:
    """Parse the bundle of the trust domain ``name``.

    Raises:
        AuthorityError: Not a bundle, or an entry of a known ``kty`` and ``use`` is malformed or
            holds a private key; names the entry.
    """
    try:
        value = strict_json.loads_object(data, max_bytes=MAX_BUNDLE_BYTES)
    except strict_json.StrictJsonError as error:
        raise AuthorityError(f"bundle of {name}: {error}") from error
    keys = value.get("keys")
    if not isinstance(keys, list):
        raise AuthorityError(f"bundle of {name}: it has no list of keys")
    roots: list[bytes] = []
    jwt_keys: list[dict[str, Any]] = []
    skipped: list[str] = []
    for number, entry in enumerate(keys):
        why = _unknown(entry)
        if why is not None:
            skipped.append(f"keys.{number}: {why}")
        elif entry["use"] == X509_SVID:
            roots.append(_certificate(name, number, entry))
        else:
            jwt_keys.append(entry)
    return TrustBundle(
        domain=trust_domains.build(name, jwt_keys, roots),
        sequence=_count(name, value, "spiffe_sequence"),
        refresh_hint=_count(name, value, "spiffe_refresh_hint"),
        skipped=tuple(skipped),
    )


def read_domain(name: str, keys: bytes | None, x509_roots: Sequence[bytes]) -> TrustDomain:
    """Read a trust domain from files: a SPIFFE bundle or a JWK Set, and PEM of further roots.

    Raises:
        AuthorityError: As ``parse`` or ``trust_domains.read``.
    """
    if keys is None or not _is_bundle(keys):
        return trust_domains.read(name, keys, x509_roots)
    found = parse(name, keys).domain
    if x509_roots:
        more = trust_domains.read(name, None, x509_roots).x509_roots
        found = replace(found, x509_roots=(*found.x509_roots, *more))
    return found


def _is_bundle(data: bytes) -> bool:
    """Return whether a JWK Set is a SPIFFE bundle: it has a sequence, or an X.509 root."""
    try:
        value = strict_json.loads_object(data, max_bytes=MAX_BUNDLE_BYTES)
    except strict_json.StrictJsonError:
        return False  # the JWK Set parser reports the error
    keys = value.get("keys")
    listed = keys if isinstance(keys, list) else []
    return "spiffe_sequence" in value or any(
        isinstance(entry, dict) and entry.get("use") == X509_SVID for entry in listed
    )


def _unknown(entry: object) -> str | None:
    """Why an entry is skipped, or ``None`` where it is read."""
    if not isinstance(entry, dict):
        return "not an object"
    if entry.get("kty") not in trust_domains.PUBLIC_KINDS:
        return f"kty {entry.get('kty')!r} is not known"
    if entry.get("use") not in {X509_SVID, JWT_SVID}:
        return f"use {entry.get('use')!r} is not known"
    return None


def _certificate(name: str, number: int, entry: dict[str, Any]) -> bytes:
    chain = entry.get("x5c")
    if not isinstance(chain, list) or len(chain) != 1 or not isinstance(chain[0], str):
        raise AuthorityError(f"bundle of {name}: keys.{number}: x5c is not one certificate")
    try:
        der = base64.b64decode(chain[0], validate=True)
        return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
    except (binascii.Error, ValueError) as error:
        raise AuthorityError(
            f"bundle of {name}: keys.{number}: x5c is not a DER certificate in base64"
        ) from error


def _count(name: str, value: dict[str, Any], key: str) -> int | None:
    found = value.get(key)
    if found is None:
        return None
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise AuthorityError(f"bundle of {name}: {key} is not a whole number")
    return found
