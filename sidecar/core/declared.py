"""Remember for which sectors and jurisdictions each environment was ever declared (law 5).

An authority objects where its grant overlaps the environment. If only the newest declaration
counted, a customer could end a regulator's withdrawal by declaring its environment again without
the regulator's jurisdiction. So every declaration by a granted customer counts for that, as
signed: key status, windows and withdrawals aside, and also after its file is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sidecar.core.eligibility import grant_for
from sidecar.core.evidence import Environment, Evidence
from sidecar.core.grants import CUSTOMER, OperatorTrust, Scope
from sidecar.core.memory import DeclaredScope
from sidecar.core.withdrawals import frozen

Scopes = tuple[tuple[str, str], ...]
"""Pairs of sector and jurisdiction."""


def remembered(
    operator: OperatorTrust,
    environments: Mapping[str, tuple[Evidence[Environment], ...]],
    before: tuple[DeclaredScope, ...],
) -> tuple[DeclaredScope, ...]:
    """Return ``before`` with what the known declarations add, sorted."""
    found = {
        scope
        for items in environments.values()
        for item in items
        for scope in _scopes(item)
        if _granted(operator, scope)
    }
    return before if found <= {*before} else tuple(sorted({*before, *found}))


def by_environment(
    operator: OperatorTrust, declared: Iterable[DeclaredScope]
) -> Mapping[str, Scopes]:
    """Return SPIFFE ID → what was declared for it by customers that are granted it now."""
    found: dict[str, set[tuple[str, str]]] = {}
    for scope in declared:
        if _granted(operator, scope):
            found.setdefault(scope.environment, set()).add((scope.sector, scope.jurisdiction))
    return frozen({name: sorted(pairs) for name, pairs in found.items()})


def _scopes(item: Evidence[Environment]) -> Iterator[DeclaredScope]:
    name, declaration = item.statement.subject.name, item.predicate
    for signer in item.signers:
        for jurisdiction in declaration.jurisdictions:
            yield DeclaredScope(name, signer.authority, declaration.sector, jurisdiction)


def _granted(operator: OperatorTrust, scope: DeclaredScope) -> bool:
    about = Scope(scope.environment, scope.sector)
    return grant_for(operator, scope.author, CUSTOMER, about, (scope.jurisdiction,)) is not None
