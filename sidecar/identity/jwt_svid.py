"""Verifies a JWT-SVID (SPIFFE JWT-SVID §2-4) with the one key that its ``kid`` names.

Compact form only. The algorithm is one of four, and must be one that the key allows, so the JWT's
header cannot choose it. The reference time is an argument; PyJWT verifies only the signature,
because it would read the system clock for the claims.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from sidecar.core import strict_json
from sidecar.core.call import Credential
from sidecar.core.reasons import AdmissibilityError, EvidenceError, Reason
from sidecar.core.spiffe_id import check_spiffe_id
from sidecar.identity.trust_bundles import DomainRoots, JwtKey, TrustBundles

MAX_TOKEN_CHARS = 8192
MAX_SKEW = timedelta(seconds=30)
KIND = "jwt-svid"
ALGORITHMS = ("ES256", "ES384", "RS256", "PS256")

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_KID = re.compile(r"[A-Za-z0-9._=-]{1,64}")
"""Key ids that a message repeats."""
_EMBEDDING = ("crit", "jwk", "jku", "x5u", "x5c", "b64", "zip")
_JWS = jwt.PyJWS(algorithms=list(ALGORITHMS))


class UnknownKeyError(AdmissibilityError):
    """A credential is signed with a key that its trust domain's authority has not published.

    Either it is forged, or the authority is behind the issuer's rotation of keys.
    """

    def __init__(self, trust_domain: str, message: str) -> None:
        super().__init__(Reason.CREDENTIAL_KEY_UNKNOWN, message)
        self.trust_domain = trust_domain


@dataclass(frozen=True, slots=True)
class _Token:
    """The parts of a compact JWS, unverified."""

    text: str
    header: dict[str, Any]
    claims: dict[str, Any]


def verify(token: str, bundles: TrustBundles, *, audience: str, now: datetime) -> Credential:
    """Verify a JWT-SVID.

    Args:
        token: The header's value.
        bundles: The trust bundles of the decision's trust state.
        audience: The audience that the token must contain.
        now: The decision's reference time.

    Raises:
        UnknownKeyError: The trust domain has no key with the token's ``kid``.
        AdmissibilityError: ``credential_invalid``, ``credential_expired``, or ``trust_stale`` if
            the trust domain's authority was never verified.
    """
    parsed = _parse(token)
    spiffe_id = parsed.claims.get("sub")
    if not isinstance(spiffe_id, str):
        raise invalid("the JWT-SVID has no sub claim of type string")
    trust_domain, roots = domain_roots(spiffe_id, bundles)
    _check_signature(parsed, _find_key(parsed.header, trust_domain, roots))
    expires = _check_claims(parsed.claims, audience, now)
    return Credential(spiffe_id, trust_domain, KIND, expires, roots.authority)


def domain_roots(spiffe_id: str, bundles: TrustBundles) -> tuple[str, DomainRoots]:
    """Return the trust domain of a workload's SPIFFE ID, and that domain's keys and roots.

    Raises:
        AdmissibilityError: ``credential_invalid`` if it is no SPIFFE ID, or its trust domain is
            granted to no customer; ``trust_stale`` if that customer was never verified.
    """
    try:
        trust_domain = check_spiffe_id(spiffe_id)
    except EvidenceError as error:
        raise invalid(f"the subject: {error}") from error
    roots = bundles.domains.get(trust_domain)
    if roots is None:
        raise invalid(f"no customer is granted the trust domain {trust_domain}")
    if not roots.verified:
        raise AdmissibilityError(
            Reason.TRUST_STALE, f"no verified trust metadata of {roots.authority}"
        )
    return trust_domain, roots


def invalid(why: str) -> AdmissibilityError:
    """Return a refusal with the reason ``credential_invalid``."""
    return AdmissibilityError(Reason.CREDENTIAL_INVALID, why)


def _parse(token: str) -> _Token:
    if len(token) > MAX_TOKEN_CHARS or not _COMPACT.fullmatch(token):
        raise invalid(
            f"the credential must be a JWT in compact form of at most {MAX_TOKEN_CHARS} characters"
        )
    header, claims, _ = token.split(".")
    parsed = _Token(token, _json_part(header), _json_part(claims))
    refused = [name for name in _EMBEDDING if name in parsed.header]
    if refused:
        raise invalid(f"the JWT's header has {refused[0]}, which is not supported; leave it out")
    if parsed.header.get("typ", "JWT") not in {"JWT", "JOSE"}:
        raise invalid("the JWT's typ must be JWT, JOSE or absent")
    return parsed


def _json_part(part: str) -> dict[str, Any]:
    try:
        data = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        return strict_json.loads_object(data, max_bytes=MAX_TOKEN_CHARS)
    except (binascii.Error, strict_json.StrictJsonError) as error:
        raise invalid("the JWT is not strict JSON in base64url") from error


def _find_key(header: Mapping[str, Any], trust_domain: str, roots: DomainRoots) -> JwtKey:
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise invalid("the JWT-SVID has no kid of type string")
    key = roots.jwt_keys.get(kid)
    if key is None:
        named = kid if _KID.fullmatch(kid) else "with another kid"
        raise UnknownKeyError(
            trust_domain,
            f"{roots.authority} has published no key {named} of trust domain {trust_domain}, with"
            " which the JWT-SVID is signed",
        )
    if header.get("alg") not in key.algorithms:
        raise invalid(
            f"the JWT's alg must be one of its key's: {', '.join(sorted(key.algorithms))}"
        )
    return key


def _check_signature(token: _Token, key: JwtKey) -> None:
    try:
        _JWS.decode(token.text, key.key, algorithms=[token.header["alg"]])
    except jwt.PyJWTError as error:
        raise invalid("the JWT's signature does not verify") from error


def _check_claims(claims: Mapping[str, Any], audience: str, now: datetime) -> datetime:
    audiences = claims.get("aud")
    named = [audiences] if isinstance(audiences, str) else audiences
    if not isinstance(named, list) or audience not in named:
        raise invalid(f"the JWT-SVID's aud does not contain {audience}")
    for name in ("nbf", "iat"):
        if name in claims and _instant(claims[name]) > now + MAX_SKEW:
            raise invalid(f"the JWT-SVID's {name} is in the future")
    if "exp" not in claims:
        raise invalid("the JWT-SVID has no exp")
    expires = _instant(claims["exp"])
    if expires <= now:
        raise AdmissibilityError(Reason.CREDENTIAL_EXPIRED, "the JWT-SVID has expired")
    return expires


def _instant(value: object) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid("a time claim of the JWT-SVID is not a number of seconds")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise invalid("a time claim of the JWT-SVID is out of range") from error
