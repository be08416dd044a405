"""Finds grants that hold in no declared environment, and sandboxes that hold in too many.

The usual cause of the former is a misspelt name. If the role is required, the first call fails and
shows it. If the authority can only object, nothing would show that its withdrawals count nowhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sidecar.core.eligibility import beginning
from sidecar.core.grants import Grant, OperatorTrust
from sidecar.core.objectors import ANYWHERE
from sidecar.core.patterns import any_matches, matches
from sidecar.core.sandbox import PURPOSE
from sidecar.core.snapshot import TrustState

Declared = Mapping[str, tuple[tuple[str, str], ...]]
"""SPIFFE ID → (sector, jurisdiction) of everything that the environment was ever declared for."""


@dataclass(frozen=True, slots=True)
class IdleGrant:
    """A grant, or a pattern of one, that holds in no declared environment, or in one too many.

    Attributes:
        authority: Whose grant it is.
        grant: Its number in ``trust.yaml``, from 0.
        why: Names the key and the pattern.
    """

    authority: str
    grant: int
    why: str


def idle_grants(operator: OperatorTrust, declared: Declared) -> tuple[IdleGrant, ...]:
    """Return every such grant; none while no environment is declared."""
    if not declared:
        return ()
    return tuple(
        IdleGrant(authority, number, why)
        for authority, grants in operator.grants.items()
        for number, grant in enumerate(grants)
        for why in _idle(operator, grant, declared)
    )


def _idle(operator: OperatorTrust, grant: Grant, declared: Declared) -> Iterator[str]:
    unmatched = [
        f"{key}: {pattern!r} matches no declared environment"
        for key, patterns in (("environments", grant.environments), ("sandbox", grant.sandbox))
        for pattern in patterns
        if not any(matches(pattern, name) for name in declared)
    ]
    yield from unmatched
    within = [name for name in declared if any_matches(grant.environments, name)]
    if within and not any(_overlaps(operator, grant, name, declared[name]) for name in within):
        keys = "sectors" if grant.role in ANYWHERE else "sectors and jurisdictions"
        yield f"{keys}: match none of the {len(within)} declared in its environments"


def _overlaps(
    operator: OperatorTrust, grant: Grant, name: str, known: tuple[tuple[str, str], ...]
) -> bool:
    """Return whether the grant's sectors and jurisdictions overlap with a declared environment."""
    added = tuple(place for floor in operator.floors_of(name) for place in floor.jurisdictions)
    return any(
        any_matches(grant.sectors, sector)
        and (
            grant.role in ANYWHERE
            or any(any_matches(grant.jurisdictions, each) for each in (place, *added))
        )
        for sector, place in known
    )


def wide_sandboxes(state: TrustState) -> tuple[IdleGrant, ...]:
    """Return sandboxes that include an environment whose customer declares it for another purpose.

    There the grant keeps nobody out: a declaration for evaluation, which the customer alone signs,
    would open it to models that nobody evaluated.
    """
    return tuple(
        IdleGrant(
            authority, number, f"sandbox: {pattern!r} includes {name}, declared for {purpose}"
        )
        for authority, grants in state.operator.grants.items()
        for number, grant in enumerate(grants)
        for pattern in grant.sandbox
        for name, purpose in _other_purposes(state, pattern)
    )


def _other_purposes(state: TrustState, pattern: str) -> Iterator[tuple[str, str]]:
    """Yield the first environment of a pattern whose newest declaration is for another purpose."""
    for name in sorted(each for each in state.environments if matches(pattern, each)):
        purpose = max(state.environments[name], key=beginning).predicate.purpose
        if purpose != PURPOSE:
            yield name, purpose
            return
