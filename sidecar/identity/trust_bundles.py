"""Parses the SPIFFE trust bundle of every trust domain, once per trust state.

An authority publishes a JWK Set and X.509 roots for its trust domains; only those of a customer to
which the operator granted the trust domain are used. A key that cannot be used is skipped and
reported, so that one unusual JWK does not disable a whole trust domain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sidecar.core.documents import TrustDomain
from sidecar.core.grants import CUSTOMER
from sidecar.core.snapshot import TrustState

MIN_RSA_BITS = 2048
MAX_JWT_KEYS, MAX_ROOTS = 256, 64
"""Most JWKs and X.509 roots of one trust domain that are parsed; a SPIFFE bundle has a handful.
Requests wait while they are, and each root may be tried for each certificate of the domain."""

T = TypeVar("T")
_CURVE_ALGORITHM = {"secp256r1": "ES256", "secp384r1": "ES384"}
_RSA_ALGORITHMS = frozenset({"RS256", "PS256"})
_PRIVATE_PARTS = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})
_USES = frozenset({"jwt-svid", "sig"})


@dataclass(frozen=True, slots=True)
class JwtKey:
    """A public key and the algorithms that it may be used with."""

    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    algorithms: frozenset[str]


@dataclass(frozen=True, slots=True)
class DomainRoots:
    """The keys and roots of one trust domain.

    Attributes:
        authority: The customer that owns the domain.
        verified: False while no metadata of the authority was verified.
        jwt_keys: Key id → key for JWT-SVIDs.
        x509_roots: Roots for X.509-SVIDs.
        published: The document's entry that these were parsed from; ``None`` without one.
        problems: What was left out of it, and why.
    """

    authority: str
    verified: bool
    jwt_keys: Mapping[str, JwtKey]
    x509_roots: tuple[x509.Certificate, ...]
    published: TrustDomain | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrustBundles:
    """Trust domain → its keys and roots; ``problems`` names the entries that were skipped."""

    domains: Mapping[str, DomainRoots]
    problems: tuple[str, ...]

    @classmethod
    def of(cls, state: TrustState, before: TrustBundles | None = None) -> TrustBundles:
        """Parse every granted trust domain of ``state``; published content never raises.

        Args:
            state: The trust state.
            before: The bundles of an earlier state. A domain whose entry did not change since is
                the same object again, so that what was verified with it still holds.
        """
        granted = [
            (domain, authority)
            for authority, grants in sorted(state.operator.grants.items())
            for domain in sorted({d for g in grants if g.role == CUSTOMER for d in g.trust_domains})
        ]
        owners = Counter(domain for domain, _ in granted)
        problems: list[str] = []
        domains = {}
        for domain, authority in granted:
            if owners[domain] > 1:
                problems.append(f"{domain}: granted to more than one authority")
                continue
            earlier = None if before is None else before.domains.get(domain)
            domains[domain] = _roots(state, domain, authority, earlier)
            problems.extend(domains[domain].problems)
        return cls(MappingProxyType(domains), tuple(dict.fromkeys(problems)))


def _roots(
    state: TrustState, domain: str, authority: str, earlier: DomainRoots | None
) -> DomainRoots:
    view = state.authorities.get(authority)
    published = () if view is None else view.domains
    entry = next((item for item in published if item.name == domain), None)
    same = (authority, view is not None, entry)
    if earlier is not None and (earlier.authority, earlier.verified, earlier.published) == same:
        return earlier
    if entry is None:
        return DomainRoots(authority, view is not None, MappingProxyType({}), ())
    keys, roots, skipped = parse(entry)
    return DomainRoots(
        authority,
        verified=True,
        jwt_keys=keys,
        x509_roots=roots,
        published=entry,
        problems=tuple(f"{domain}: {text}" for text in skipped),
    )


def parse(
    entry: TrustDomain,
) -> tuple[Mapping[str, JwtKey], tuple[x509.Certificate, ...], tuple[str, ...]]:
    """Parse what an authority publishes for a trust domain; content never raises.

    Returns:
        The usable JWT keys by ``kid``, the usable X.509 roots, and why each other entry is not.
    """
    problems: list[str] = []
    keys = MappingProxyType(dict(_jwt_keys(entry, problems)))
    return keys, _x509(entry, problems), tuple(problems)


def _jwt_keys(entry: TrustDomain, problems: list[str]) -> Iterator[tuple[str, JwtKey]]:
    jwks = (entry.jwks or {}).get("keys", [])
    every = [jwk for jwk in jwks if isinstance(jwk, dict)] if isinstance(jwks, list) else []
    listed = _first(every, MAX_JWT_KEYS, "JWKs", problems)
    kids = Counter(jwk["kid"] for jwk in listed if isinstance(jwk.get("kid"), str))
    for jwk in listed:
        kid = jwk.get("kid")
        try:
            if not isinstance(kid, str) or not kid or kids[kid] > 1:
                raise ValueError("kid must be a string that no other JWK has")
            yield kid, jwt_key(jwk)
        except ValueError as error:
            named = f" {kid[:64]!r}" if isinstance(kid, str) and kid else ""
            problems.append(f"JWK{named} was left out: {error}")


def _first(listed: Sequence[T], most: int, what: str, problems: list[str]) -> Sequence[T]:
    """Return the first ``most`` of what is published, and state how many are left out."""
    if len(listed) > most:
        beyond = f"{len(listed) - most} of {len(listed)} {what}"
        problems.append(f"{beyond} were left out: at most {most} are used")
    return listed[:most]


def jwt_key(jwk: Mapping[str, Any]) -> JwtKey:
    """Parse one JWK (RFC 7517) as a key for JWT-SVIDs.

    Raises:
        ValueError: Another use, ``key_ops`` without ``verify``, a private or symmetric key, a curve
            or size that is not accepted, or an ``alg`` that does not fit the key.
    """
    use, named = jwk.get("use", "jwt-svid"), jwk.get("alg")
    if not isinstance(use, str) or use not in _USES or _PRIVATE_PARTS & jwk.keys():
        raise ValueError("must be a public key, with use jwt-svid, sig or none")
    purposes = jwk.get("key_ops")
    if purposes is not None and (not isinstance(purposes, list) or "verify" not in purposes):
        raise ValueError("its key_ops must list verify, or be left out (RFC 7517, section 4.3)")
    try:
        key = jwt.PyJWK(dict(jwk), algorithm=_any_algorithm(jwk)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError("the public key cannot be parsed") from error
    if isinstance(key, ec.EllipticCurvePublicKey):
        fitting = frozenset({_CURVE_ALGORITHM.get(key.curve.name, "")}) - {""}
    elif isinstance(key, rsa.RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        fitting = _RSA_ALGORITHMS
    else:
        fitting = frozenset()
    allowed = fitting if named is None else fitting & {str(named)}
    if not allowed or not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise ValueError(
            f"must be P-256, P-384, or RSA of at least {MIN_RSA_BITS} bits, with an alg of its type"
        )
    return JwtKey(key, allowed)


def _any_algorithm(jwk: Mapping[str, Any]) -> str:
    """Return an algorithm with which PyJWT parses the key; ``jwt_key`` decides what is allowed."""
    kinds = {("EC", "P-256"): "ES256", ("EC", "P-384"): "ES384"}
    if jwk.get("kty") == "RSA":
        return "RS256"
    return kinds.get((str(jwk.get("kty")), str(jwk.get("crv"))), "ES256")


def _x509(entry: TrustDomain, problems: list[str]) -> tuple[x509.Certificate, ...]:
    roots = []
    for pem in _first(entry.x509_roots, MAX_ROOTS, "X.509 roots", problems):
        try:
            root = x509.load_pem_x509_certificate(pem.encode())
            if not root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                raise ValueError("not a CA")
            roots.append(root)
        except (ValueError, x509.ExtensionNotFound) as error:
            problems.append(f"an X.509 root was left out: {error}")
    return tuple(roots)
