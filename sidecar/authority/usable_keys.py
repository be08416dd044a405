"""Keeps of a trust domain's keys those that a gate can use, by the gate's own parser."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sidecar.authority.errors import AuthorityError
from sidecar.core.documents import TrustDomain
from sidecar.identity import trust_bundles, x509_path


@dataclass(frozen=True, slots=True)
class UsableKeys:
    """A trust domain with usable keys alone, and one sentence about each that is not."""

    domain: TrustDomain
    left_out: tuple[str, ...]


def usable_keys(domain: TrustDomain, now: datetime) -> UsableKeys:
    """Keep the keys and roots that a gate can use now or later.

    Raises:
        AuthorityError: Keys or roots were given, and none of them can be used; names each.
    """
    keys, _, skipped = trust_bundles.parse(TrustDomain(domain.name, domain.jwks))
    left_out = [*skipped]
    roots = []
    for number, pem in enumerate(domain.x509_roots):
        why = _unusable(domain.name, pem, now)
        if why:
            left_out.append(f"X.509 root {number + 1} of {len(domain.x509_roots)}: {why}")
        else:
            roots.append(pem)
    listed = [] if domain.jwks is None else domain.jwks["keys"]
    kept = [jwk for jwk in listed if isinstance(jwk, dict) and jwk.get("kid") in keys]
    if not kept and not roots and left_out:
        raise AuthorityError(
            f"trust domain {domain.name}: no key is usable, so nothing was changed: "
            + "; ".join(left_out)
        )
    jwks = {**(domain.jwks or {}), "keys": kept} if kept else None
    return UsableKeys(TrustDomain(domain.name, jwks, tuple(roots)), tuple(left_out))


def _unusable(name: str, pem: str, now: datetime) -> str:
    """Return why a root cannot be used; empty if it can."""
    _, found, skipped = trust_bundles.parse(TrustDomain(name, None, (pem,)))
    if skipped:
        return skipped[0]
    return x509_path.root_problem(found[0], now)


def dropped(before: TrustDomain | None, after: TrustDomain) -> tuple[str, ...]:
    """Return one sentence for each kind of key that was published and no longer is."""
    if before is None:
        return ()
    gone = sorted(_kids(before) - _kids(after))
    roots = len(set(before.x509_roots) - set(after.x509_roots))
    found = []
    if gone:
        names = ", ".join(gone[:_MAX_NAMED]) + (" …" if len(gone) > _MAX_NAMED else "")
        found.append(f"{after.name}: no longer published: JWT keys {names}")
    if roots:
        found.append(f"{after.name}: no longer published: {roots} X.509 roots")
    return tuple(found)


_MAX_NAMED = 10


def _kids(domain: TrustDomain) -> set[str]:
    listed: list[Any] = [] if domain.jwks is None else domain.jwks["keys"]
    return {str(jwk.get("kid")) for jwk in listed if isinstance(jwk, dict)}
