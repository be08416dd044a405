"""Builds certification paths (RFC 5280 §6) from an X.509-SVID to a root of its trust domain.

A SPIRE server with an upstream authority signs with an intermediate, so a leaf alone does not lead
to a root. Intermediates arrive with the request and need no trust of their own: a path is valid
only if each certificate issued the next and was allowed to. ``cryptography.x509.verification``
follows the Web PKI's profile (an AKI in each leaf) and has one error for every invalid path.

Where RFC 5280 leaves a choice, the stricter is taken: constraints of a root count, self-issued
certificates count for the path length, an extended key usage binds what is below it, and a critical
extension, or a name constraint, that is not understood refuses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.core.window import rfc3339
from sidecar.identity.jwt_svid import UnknownKeyError, invalid
from sidecar.identity.trust_bundles import MIN_RSA_BITS, DomainRoots

MAX_INTERMEDIATES = 4
T = TypeVar("T", bound=x509.ExtensionType)
_HASHES = frozenset({"sha256", "sha384", "sha512"})
_UNDERSTOOD = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.NAME_CONSTRAINTS,
    }
)
_CLIENT_PURPOSES = frozenset(
    {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
)


def expiry(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    trust_domain: str,
    roots: DomainRoots,
    now: datetime,
) -> datetime:
    """Return the earliest ``notAfter`` of a path; of several paths, that of the longest-lived.

    Args:
        leaf: The X.509-SVID; its own window is not checked.
        intermediates: Certificates that a path may go through, in any order; roots and the leaf
            among them are skipped.
        trust_domain: Of the leaf.
        roots: Of the trust domain.
        now: The decision's reference time.

    Raises:
        UnknownKeyError: No issuer above the leaf is known.
        AdmissibilityError: ``credential_expired`` if the first problem is an intermediate's
            expiry, else ``credential_invalid``; the message names the certificate and the problem.
    """
    known = {*roots.x509_roots, leaf}
    pool = tuple(dict.fromkeys(each for each in intermediates if each not in known))
    if len(pool) > MAX_INTERMEDIATES:
        raise invalid(f"{len(pool)} intermediates came with it; at most {MAX_INTERMEDIATES} may")
    search = _Search(pool, trust_domain, roots.x509_roots, now)
    ends = [
        min(certificate.not_valid_after_utc for certificate in path)
        for path in search.paths((leaf,))
    ]
    if ends:
        return max(ends)
    if search.problems:
        raise search.problems[0]
    through = f" through {len(pool)} intermediate(s)" if pool else ""
    raise UnknownKeyError(
        trust_domain,
        f"{roots.authority} has published no X.509 root of trust domain {trust_domain} to which"
        f" the client certificate leads{through}",
    )


def root_problem(root: x509.Certificate, now: datetime) -> str:
    """Return why a root can begin no path, now or later; empty if it can."""
    key = root.public_key()
    if root.not_valid_after_utc <= now:
        return f"{_called(root)} expired at {rfc3339(root.not_valid_after_utc)}"
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        return f"{_called(root)} has an RSA key of {key.key_size} bits, not {MIN_RSA_BITS}"
    try:
        _check_authority(root, "root", 0)
    except _UnfitError as error:
        return f"{_called(root)} {error}"
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return f"{_called(root)} has unreadable extensions"
    return ""


@dataclass(slots=True)
class _Search:
    """A depth-first search for paths, with the problems of issuers that it rejected."""

    pool: tuple[x509.Certificate, ...]
    trust_domain: str
    roots: tuple[x509.Certificate, ...]
    now: datetime
    problems: list[AdmissibilityError] = field(default_factory=list)
    _signed: dict[tuple[x509.Certificate, x509.Certificate], bool] = field(default_factory=dict)

    def paths(self, path: tuple[x509.Certificate, ...]) -> Iterator[tuple[x509.Certificate, ...]]:
        """Yield every path to a root that extends ``path``, which begins with the leaf."""
        for root in self.roots:
            if self._is_issuer(path, root, "root"):
                yield (*path, root)
        for issuer in self.pool:
            if issuer in path[1:]:
                # Self-signed is no loop: it is a root that the trust domain does not have.
                if issuer != path[-1] and self._issued(path[-1], issuer):
                    self.problems.append(invalid(f"{_called(issuer)} issued its own issuer"))
            elif self._is_issuer(path, issuer, "intermediate"):
                yield from self.paths((*path, issuer))

    def _is_issuer(
        self, path: tuple[x509.Certificate, ...], issuer: x509.Certificate, kind: str
    ) -> bool:
        """Return whether ``issuer`` issued the last of ``path``, and may be above all of it."""
        if not self._issued(path[-1], issuer):
            return False
        try:
            self._check(path, issuer, kind)
        except AdmissibilityError as error:
            self.problems.append(error)
            return False
        return True

    def _issued(self, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        """Return whether names and signature match; each pair is verified once for all paths."""
        pair = (certificate, issuer)
        if pair not in self._signed:
            self._signed[pair] = _signed_by(certificate, issuer)
        return self._signed[pair]

    def _check(
        self, path: tuple[x509.Certificate, ...], issuer: x509.Certificate, kind: str
    ) -> None:
        try:
            _check_window(issuer, kind, self.now)
            _check_authority(issuer, kind, len(path) - 1)
            if kind == "intermediate":
                _check_intermediate(issuer, self.trust_domain)
            _check_names(issuer, path)
        except _UnfitError as error:
            raise invalid(f"the {kind} {_called(issuer)} {error}") from error
        except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
            raise invalid(f"the {kind} {_called(issuer)} has unreadable extensions") from error


class _UnfitError(Exception):
    """An issuer was not allowed to issue; the message continues its name."""


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        algorithm = certificate.signature_hash_algorithm
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return algorithm is None or algorithm.name in _HASHES


def _called(certificate: x509.Certificate) -> str:
    """Return a certificate's subject for messages, cut to 100 characters."""
    try:
        return certificate.subject.rfc4514_string()[:100] or "without a name"
    except ValueError:
        return "with an unreadable name"


def _check_window(issuer: x509.Certificate, kind: str, now: datetime) -> None:
    if now < issuer.not_valid_before_utc:
        raise _UnfitError("is not valid yet")
    if now >= issuer.not_valid_after_utc:
        if kind == "intermediate":
            raise AdmissibilityError(
                Reason.CREDENTIAL_EXPIRED, f"the intermediate {_called(issuer)} has expired"
            )
        raise _UnfitError("has expired")


def _check_authority(issuer: x509.Certificate, kind: str, below: int) -> None:
    """RFC 5280 §6.1.4 (k)-(o); ``below`` is the number of intermediates below the issuer."""
    basic = _extension(issuer, x509.BasicConstraints)
    if basic is None or not basic.ca:
        raise _UnfitError("is no CA: its basic constraints do not say so")
    if basic.path_length is not None and below > basic.path_length:
        raise _UnfitError(f"allows {basic.path_length} intermediate(s) below it, not {below}")
    usage = _extension(issuer, x509.KeyUsage)
    # A root may leave the extension out, as a trust anchor is a name and a key; what is signed by
    # a CA must have it (X509-SVID §4.3).
    if (usage is None and kind == "intermediate") or (
        usage is not None and not usage.key_cert_sign
    ):
        raise _UnfitError("may not sign certificates: its key usage lacks keyCertSign")
    purposes = _extension(issuer, x509.ExtendedKeyUsage)
    if purposes is not None and _CLIENT_PURPOSES.isdisjoint(purposes):
        raise _UnfitError("may not sign for clients: its extended key usage lacks clientAuth")
    for item in issuer.extensions:
        if item.critical and item.oid not in _UNDERSTOOD:
            raise _UnfitError(
                f"has a critical extension that is not understood: {item.oid.dotted_string}"
            )


def _check_intermediate(issuer: x509.Certificate, trust_domain: str) -> None:
    """Check what is required of intermediates alone (X509-SVID §4.1)."""
    key = issuer.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        raise _UnfitError(f"has an RSA key of {key.key_size} bits, not {MIN_RSA_BITS}")
    own = f"spiffe://{trust_domain}"
    for name in _names(issuer):
        if isinstance(name, x509.UniformResourceIdentifier) and name.value != own:
            raise _UnfitError(f"names {name.value[:100]}, not its trust domain {own}")


def _check_names(issuer: x509.Certificate, path: tuple[x509.Certificate, ...]) -> None:
    """Name constraints (RFC 5280 §4.2.1.10) on everything below the issuer.

    Those on URIs are understood; others refuse where a certificate below has a name of their form.
    """
    constraints = _extension(issuer, x509.NameConstraints)
    if constraints is None:
        return
    names = [name for certificate in path for name in _names(certificate, subject=True)]
    permitted, excluded = constraints.permitted_subtrees or (), constraints.excluded_subtrees or ()
    forms = {type(each) for each in (*permitted, *excluded)}
    unknown = {type(name) for name in names} & forms - {x509.UniformResourceIdentifier}
    if unknown or not forms <= _FORMS:
        form = min(each.__name__ for each in unknown or forms - _FORMS)
        raise _UnfitError(f"has a name constraint that is not understood: on {form}")
    allowed, barred = _hosts(permitted), _hosts(excluded)
    for name in names:
        if isinstance(name, x509.UniformResourceIdentifier):
            host = _host(name.value)
            if any(_within(host, each) for each in barred) or (
                allowed and not any(_within(host, each) for each in allowed)
            ):
                raise _UnfitError(f"does not permit the name {name.value[:100]}")


_FORMS = frozenset(
    {
        x509.UniformResourceIdentifier,
        x509.DNSName,
        x509.RFC822Name,
        x509.IPAddress,
        x509.DirectoryName,
    }
)


def _names(certificate: x509.Certificate, *, subject: bool = False) -> list[x509.GeneralName]:
    """Alternative names and, if asked for, the subject as the names it holds."""
    san = _extension(certificate, x509.SubjectAlternativeName)
    names: list[x509.GeneralName] = [] if san is None else list(san)
    if subject and list(certificate.subject):
        names.append(x509.DirectoryName(certificate.subject))
        names += [
            x509.RFC822Name(str(mail.value))
            for mail in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)
        ]
    return names


def _hosts(subtrees: Sequence[x509.GeneralName]) -> list[str]:
    hosts = [
        each.value.lower() for each in subtrees if isinstance(each, x509.UniformResourceIdentifier)
    ]
    for host in hosts:
        if not host.strip(".") or set(host) & set(":/@?#"):
            raise _UnfitError(
                f"has a name constraint that is not understood: {host[:100]!r} is not a host"
            )
    return hosts


def _host(uri: str) -> str:
    """Return the host of a URI; without one, text that no constraint permits and all exclude."""
    _, found, rest = uri.partition("://")
    host = rest.split("/", 1)[0].lower()
    if not found or not host or set(host) & set(":@?#[]"):
        raise _UnfitError(f"has name constraints, and below it {uri[:100]} has no host to compare")
    return host


def _within(host: str, constraint: str) -> bool:
    """Return whether a constraint covers a host: itself or, with a leading period, below it."""
    return host.endswith(constraint) if constraint.startswith(".") else host == constraint


def _extension(certificate: x509.Certificate, kind: type[T]) -> T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
