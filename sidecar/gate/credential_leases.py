"""Holds verified credentials, so that a signature is verified once and not for each request.

The key is a digest of everything of the request that verification reads. A verified credential
holds until it expires, while every trust domain that was looked up has the same keys and roots: a
rotated or removed root ends it. A refusal is never kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sidecar.core.call import Credential
from sidecar.extract.http_request import HttpRequest
from sidecar.gate.leases import LeaseTable
from sidecar.identity import credential, xfcc
from sidecar.identity.trust_bundles import DomainRoots, TrustBundles
from sidecar.observe.lease_metrics import End, LeaseCounts

_KEY = "credential lease"
"""Under which a request keeps its key; requests with the same head share it."""

_NONE = b"\xff" * 4


@dataclass(frozen=True, slots=True)
class _Held:
    """A verified credential, and the roots of each trust domain that was looked up."""

    credential: Credential
    roots: tuple[tuple[str, DomainRoots | None], ...]
    since: datetime

    def ended(self, bundles: TrustBundles, now: datetime) -> End | None:
        if not self.since <= now < self.credential.expires:
            return End.EXPIRED
        if any(bundles.domains.get(name) is not roots for name, roots in self.roots):
            return End.TRUST
        return None


class CredentialLeases:
    """The verified credentials of one gate; to be used inside one event loop.

    Args:
        most: The most that are held; 0 verifies each request.
        header: Name (lower case) of the header with a JWT-SVID.
        audience: The audience that a JWT-SVID must contain.
    """

    def __init__(self, most: int, *, header: str, audience: str) -> None:
        self._enabled = most > 0
        self._header, self._audience = header, audience
        self._table: LeaseTable[bytes, _Held] = LeaseTable(most)

    @property
    def counts(self) -> LeaseCounts:
        """Return how many are held, and the numbers since the start."""
        return self._table.counts

    def clear(self, why: End = End.CLOCK) -> None:
        """End every entry."""
        self._table.clear(why)

    def verify(self, request: HttpRequest, bundles: TrustBundles, now: datetime) -> Credential:
        """Verify the credential of a request, or return what was verified of the same bytes.

        Raises:
            AdmissibilityError: As ``credential.verify``.
        """
        if not self._enabled:
            return self._verify(request, bundles, now)
        key = request.derived.get(_KEY)
        if key is None:
            key = request.derived[_KEY] = self._key(request)
        held = self._table.find(key, lambda held: held.ended(bundles, now))
        if held is not None:
            return held.credential
        watched = _Domains(bundles.domains)
        verified = self._verify(request, replace(bundles, domains=watched), now)
        self._table.put(key, _Held(verified, tuple(watched.seen.items()), now))
        return verified

    def _verify(self, request: HttpRequest, bundles: TrustBundles, now: datetime) -> Credential:
        return credential.verify(
            request, bundles, header=self._header, audience=self._audience, now=now
        )

    def _key(self, request: HttpRequest) -> bytes:
        """Return a digest of the parts, each with its length, so that none runs into the next."""
        digest = hashlib.sha256()
        for part in (
            request.header(self._header),
            request.header(xfcc.HEADER),
            request.certificate,
            request.principal,
            request.trusted_forwarder,
        ):
            if part is None:
                digest.update(_NONE)
            else:
                data = part.encode()
                digest.update(len(data).to_bytes(4))
                digest.update(data)
        return digest.digest()


class _Domains(Mapping[str, DomainRoots]):
    """The trust domains, with a record of each that is looked up."""

    __slots__ = ("_held", "seen")

    def __init__(self, held: Mapping[str, DomainRoots]) -> None:
        self._held = held
        self.seen: dict[str, DomainRoots | None] = {}

    def __getitem__(self, name: str) -> DomainRoots:
        found = self.seen[name] = self._held.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError("trust domains are looked up by name")

    def __len__(self) -> int:
        raise NotImplementedError("trust domains are looked up by name")
