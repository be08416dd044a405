"""Selects the signers and the declarations that count for a role in a scope.

A signer counts as agreement only by an active key in its window. *As signed*, it counts by any key
that its authority lists: a retired key still identifies who signed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeVar

from sidecar.core.evidence import Evidence, Signer
from sidecar.core.grants import Grant, OperatorTrust, Scope
from sidecar.core.predicates import DeploymentBinding, Environment, Manifest, Predicate
from sidecar.core.snapshot import TrustState

Declared = Environment | DeploymentBinding
"""Kinds of which an author's newest statement that has begun replaces its older ones."""

D = TypeVar("D", Environment, DeploymentBinding)


def grant_for(
    operator: OperatorTrust,
    authority: str,
    role: str,
    scope: Scope,
    jurisdictions: tuple[str, ...] = (),
) -> Grant | None:
    """Return the grant by which ``authority`` holds ``role`` in ``scope``, if it has one."""
    for grant in operator.of(authority):
        if grant.covers(role, scope, jurisdictions):
            return grant
    return None


def signed_by(
    operator: OperatorTrust,
    evidence: Evidence[Predicate],
    role: str,
    scope: Scope,
    jurisdictions: tuple[str, ...] = (),
) -> tuple[Signer, ...]:
    """Return the signers that are granted the role for the whole scope, as signed."""
    return tuple(
        signer
        for signer in evidence.signers
        if grant_for(operator, signer.authority, role, scope, jurisdictions) is not None
    )


def eligible_signers(
    state: TrustState,
    evidence: Evidence[Predicate],
    role: str,
    scope: Scope,
    jurisdictions: tuple[str, ...],
    now: datetime,
) -> tuple[Signer, ...]:
    """Return the signers that count as agreement: granted, by an active key in its window."""
    return tuple(
        signer
        for signer in signed_by(state.operator, evidence, role, scope, jurisdictions)
        if state.keys[signer].agrees(now)
    )


def newest_of_each_author(
    signers: Mapping[str, Iterable[Signer]], items: Iterable[Evidence[D]], now: datetime
) -> tuple[Evidence[D], ...]:
    """Return what each author last declared, newest first, less what has ended.

    Args:
        signers: Payload digest → the signers that count for that item.
        items: Declarations about one matter.
        now: The reference time. An author's newest that has begun replaces its older ones, also
            when it has ended. None of those that begin together replaces another: if the digest
            decided, losing the file of one could admit by the other (law 2).
    """
    newest: dict[str, list[Evidence[D]]] = {}
    for item in sorted(items, key=beginning):
        if item.predicate.window.not_before <= now:
            for author in {signer.authority for signer in signers[item.digest]}:
                last = newest.setdefault(author, [])
                if last and last[0].predicate.window.not_before < item.predicate.window.not_before:
                    last.clear()
                last.append(item)
    found = (item for last in newest.values() for item in last)
    current = {item.digest: item for item in found if item.predicate.window.holds(now)}
    return tuple(sorted(current.values(), key=beginning, reverse=True))


def beginning(
    item: Evidence[Environment] | Evidence[DeploymentBinding] | Evidence[Manifest],
) -> tuple[datetime, str]:
    """Order evidence about one matter by when it begins, then by digest."""
    return item.predicate.window.not_before, item.digest


def next_beginning(
    state: TrustState,
    items: Iterable[tuple[Evidence[Declared], tuple[Signer, ...]]],
    now: datetime,
) -> datetime | None:
    """Return when the next of several declarations comes into force.

    Args:
        state: For the windows of keys.
        items: Each declaration with the signers that are granted, whether or not their keys hold.
        now: The reference time.
    """
    begins = (
        max(item.predicate.window.not_before, state.keys[signer].window.not_before)
        for item, signers in items
        for signer in signers
        if not state.keys[signer].retired
    )
    return min((begin for begin in begins if begin > now), default=None)
