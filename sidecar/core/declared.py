"""Remembers for which sectors and jurisdictions each environment was ever declared (law 5).

An authority objects where its grant overlaps the environment. If only the newest declaration
counted, a customer could end a regulator's withdrawal by declaring its environment again without
the regulator's jurisdiction. So every declaration by a granted customer counts for that, as
signed: key status, windows and withdrawals aside, and also after its file is lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from sidecar.core.eligibility import grant_for
from sidecar.core.evidence import Evidence
from sidecar.core.grants import CUSTOMER, OperatorTrust, Scope
from sidecar.core.memory import DeclaredScope
from sidecar.core.predicates import Environment
from sidecar.core.tables import Drafts


def update(drafts: Drafts, operator: OperatorTrust, environments: Iterable[str]) -> None:
    """Remember what changed declarations add; ``environments`` are their SPIFFE IDs."""
    found = (
        scope
        for name in environments
        for item in drafts.environments.get(name, ())
        for scope in _scopes(item)
        if _granted(operator, scope)
    )
    remember(drafts, operator, found)


def remember(drafts: Drafts, operator: OperatorTrust, found: Iterable[DeclaredScope]) -> None:
    """Add to what is remembered; what was declared by customers that are granted it now counts."""
    changed: dict[str, set[DeclaredScope]] = defaultdict(set)
    for scope in found:
        changed[scope.environment].add(scope)
    for name, scopes in changed.items():
        known = tuple(sorted({*drafts.scopes.get(name, ()), *scopes}))
        drafts.scopes[name] = known
        pairs = {(each.sector, each.jurisdiction) for each in known if _granted(operator, each)}
        drafts.declared.put(name, tuple(sorted(pairs)), keep=bool(pairs))


def _scopes(item: Evidence[Environment]) -> Iterator[DeclaredScope]:
    name, declaration = item.statement.subject.name, item.predicate
    for signer in item.signers:
        for jurisdiction in declaration.jurisdictions:
            yield DeclaredScope(name, signer.authority, declaration.sector, jurisdiction)


def _granted(operator: OperatorTrust, scope: DeclaredScope) -> bool:
    about = Scope(scope.environment, scope.sector)
    return grant_for(operator, scope.author, CUSTOMER, about, (scope.jurisdiction,)) is not None
