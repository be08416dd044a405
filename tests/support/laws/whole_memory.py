"""Remember what everything at once shows of successions and declarations; see ``whole``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from sidecar.core.documents import WithdrawalKind
from sidecar.core.eligibility import beginning, grant_for, signed_by
from sidecar.core.evidence import Evidence
from sidecar.core.floors import EffectiveEnvironment, effective_environment
from sidecar.core.grants import CUSTOMER, PRODUCER, OperatorTrust, Scope
from sidecar.core.lineage import claim_nodes, statement_node
from sidecar.core.memory import (
    DeclaredScope,
    LineageNode,
    Memory,
    Statements,
    Successor,
    Takeover,
)
from sidecar.core.patterns import any_matches
from sidecar.core.predicates import Environment, Manifest
from sidecar.core.snapshot import TrustState
from sidecar.core.succession import MAX_LINKS, complete
from sidecar.core.withdrawals import frozen


def remembered(state: TrustState, before: Memory) -> TrustState:
    """Return ``state`` with everything that it and ``before`` know of successions."""
    superseding = [
        item
        for items in state.manifests.values()
        for item in items
        if item.predicate.supersedes is not None and _by_some_producer(state, item)
    ]
    memory = _merged(state, superseding, before)
    successors: dict[str, list[Successor]] = defaultdict(list)
    for entry in (*memory.successors, *_announced(state)):
        successors[entry.manifest].append(entry)
    return replace(
        state,
        successors=frozen(successors),
        statements={each.manifest: each.nodes for each in memory.statements},
        taken_over=frozenset((each.manifest, each.environment) for each in memory.takeovers),
        declared=_declared(state.operator, memory.declared),
        adapted=frozenset(memory.adapted),
        memory=memory,
    )


def _merged(state: TrustState, superseding: list[Evidence[Manifest]], before: Memory) -> Memory:
    """Return ``before`` itself where there is nothing to add, so that nothing is written anew."""
    takeovers = {*before.takeovers, *_takeovers(state, superseding, before)}
    adapted = {*before.adapted, *_adapted(state)}
    known = {(each.manifest, each.by): each for each in before.successors}
    for item in superseding:
        found = _successor(state, item)
        known[found.manifest, found.by] = _with(known.get((found.manifest, found.by)), found)
    statements = {each.manifest: each for each in before.statements}
    for digest in _built_on(state, known.values(), before):
        about = statements.get(digest, Statements(digest, ())).nodes
        nodes = {*about, *_statements(state, digest)}
        if len(nodes) > len(about):
            statements[digest] = Statements(digest, tuple(sorted(nodes)))
    memory = Memory(
        takeovers=tuple(sorted(takeovers)),
        successors=tuple(known[at] for at in sorted(known)),
        statements=tuple(statements[digest] for digest in sorted(statements)),
        adapted=tuple(sorted(adapted)),
        withdrawn=state.memory.withdrawn,
        declared=_remembered_scopes(state, before.declared),
    )
    return before if memory == before else memory


def _takeovers(
    state: TrustState, superseding: list[Evidence[Manifest]], before: Memory
) -> Iterator[Takeover]:
    if not superseding:
        return
    held = {(each.by, each.environment) for each in before.takeovers}
    for name, declarations in state.environments.items():
        effective = _newest(state, name, declarations)
        if effective is None:
            continue
        for item in superseding:
            patterns = tuple(spec.id for spec in item.predicate.environments)
            if (item.digest, name) in held or (
                any_matches(patterns, name) and complete(state, effective, item)
            ):
                for digest in _replaced(state, effective, item, before):
                    yield Takeover(digest, item.digest, name)


def _newest(
    state: TrustState, name: str, declarations: Iterable[Evidence[Environment]]
) -> EffectiveEnvironment | None:
    """Return the newest declaration by a granted customer, as signed, with the floors."""
    for item in sorted(declarations, key=beginning, reverse=True):
        scope = Scope(name, item.predicate.sector)
        if signed_by(state.operator, item, CUSTOMER, scope, item.predicate.jurisdictions):
            return effective_environment(state.operator, item)
    return None


def _replaced(
    state: TrustState, effective: EffectiveEnvironment, item: Evidence[Manifest], before: Memory
) -> Iterator[str]:
    """Yield what a manifest supersedes, and what that supersedes, of the same model."""
    model = item.predicate.model
    name = f"{model.provider}/{model.id}"
    scope = Scope(effective.environment, effective.sector, name)
    assert item.predicate.supersedes is not None
    digest: str | None = item.predicate.supersedes.sha256
    # A digest cannot name a payload that names it, so the chain ends.
    while digest is not None:
        older = state.manifests_by_digest.get(digest)
        if older is None:
            yield digest
            lost = (each for each in before.successors if each.by == digest)
            digest = next((e.manifest for e in lost if _counts(state, e, name, scope)), None)
            continue
        claim = older.predicate.model
        if (claim.provider, claim.id) != (model.provider, model.id):
            return
        yield digest
        link = older.predicate.supersedes
        granted = signed_by(state.operator, older, PRODUCER, scope)
        digest = link.sha256 if link is not None and granted else None


def _counts(state: TrustState, entry: Successor, name: str, scope: Scope) -> bool:
    """Whether a producer granted for the scope signed what superseded, of this model."""
    return LineageNode(WithdrawalKind.MODEL, name) in entry.nodes and any(
        grant_for(state.operator, authority, PRODUCER, scope) is not None
        for authority, _ in entry.signers
    )


def _by_some_producer(state: TrustState, item: Evidence[Manifest]) -> bool:
    model = item.predicate.model
    name = f"{model.provider}/{model.id}"
    return any(
        grant.role == PRODUCER and any_matches(grant.models, name)
        for signer in item.signers
        for grant in state.operator.of(signer.authority)
    )


def _adapted(state: TrustState) -> Iterator[str]:
    for (provider, model), items in state.manifests.items():
        if any(_by_some_producer(state, item) for item in items):
            yield f"{provider}/{model}"


def _successor(state: TrustState, item: Evidence[Manifest]) -> Successor:
    assert item.predicate.supersedes is not None
    nodes = {node for each in _ancestry(state, item) for node in _named_by(state, each)}
    signers = tuple((signer.authority, signer.fingerprint) for signer in item.signers)
    superseded = item.predicate.supersedes.sha256
    return Successor(superseded, item.digest, signers, tuple(sorted(nodes)))


def _named_by(state: TrustState, item: Evidence[Manifest]) -> Iterator[LineageNode]:
    yield from claim_nodes(item)
    digest = item.predicate.specification
    while digest is not None and (known := state.specifications.get(digest.sha256)) is not None:
        yield statement_node(known)
        digest = known.predicate.extends


def _remembered_scopes(
    state: TrustState, before: tuple[DeclaredScope, ...]
) -> tuple[DeclaredScope, ...]:
    found = {
        DeclaredScope(name, signer.authority, item.predicate.sector, jurisdiction)
        for name, items in state.environments.items()
        for item in items
        for signer in item.signers
        for jurisdiction in item.predicate.jurisdictions
    }
    return tuple(sorted({*before, *(each for each in found if _granted(state.operator, each))}))


def _declared(
    operator: OperatorTrust, scopes: Iterable[DeclaredScope]
) -> Mapping[str, tuple[tuple[str, str], ...]]:
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for scope in scopes:
        if _granted(operator, scope):
            found[scope.environment].add((scope.sector, scope.jurisdiction))
    return {name: tuple(sorted(pairs)) for name, pairs in found.items()}


def _granted(operator: OperatorTrust, scope: DeclaredScope) -> bool:
    about = Scope(scope.environment, scope.sector)
    return grant_for(operator, scope.author, CUSTOMER, about, (scope.jurisdiction,)) is not None


def _ancestry(state: TrustState, item: Evidence[Manifest]) -> Iterator[Evidence[Manifest]]:
    """Yield a manifest and its known parents, as many as step 2 follows."""
    current: Evidence[Manifest] | None = item
    found = 0
    while current is not None and found <= MAX_LINKS:
        yield current
        found += 1
        parent = current.predicate.model.parent
        current = None if parent is None else state.manifests_by_digest.get(parent.sha256)


def _with(known: Successor | None, found: Successor) -> Successor:
    if known is None:
        return found
    signers = tuple(sorted({*known.signers, *found.signers}))
    nodes = tuple(sorted({*known.nodes, *found.nodes}))
    return replace(found, signers=signers, nodes=nodes)


def _built_on(state: TrustState, known: Iterable[Successor], before: Memory) -> set[str]:
    """Digests of the manifests that others are tuned from, or that supersede others."""
    found = {each.manifest for each in before.statements}
    found |= {each.by for each in known}
    for item in state.manifests_by_digest.values():
        parent = item.predicate.model.parent
        if parent is not None:
            found.add(parent.sha256)
    return found


def _statements(state: TrustState, digest: str) -> Iterator[LineageNode]:
    yield from (statement_node(item) for item in state.approvals.get(digest, ()))
    yield from (statement_node(item) for item in state.results.get(digest, ()))


def _announced(state: TrustState) -> Iterator[Successor]:
    """Yield what producers announce in their documents; nothing but the digest is known of it."""
    for name, view in sorted(state.authorities.items()):
        for entry in view.withdrawals.supersessions:
            node = LineageNode(WithdrawalKind.MANIFEST, entry.by)
            yield Successor(entry.manifest, entry.by, ((name, ""),), (node,))
