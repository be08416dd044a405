"""Steps 6 and 7: apply withdrawals to the lineage, and require trust metadata to be fresh.

Withdrawals of every objector count against every node of the lineage, and those of the authorities
that signed the environment's declaration or vouch for its credential. Any other signer that is
relied on can withdraw its own statements and keys. Signers are chosen among usable signatures: not
withdrawn, and by an authority that is fresh. So one usable signature is enough, and losing a file
that is not usable changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import Generic, TypeVar

from sidecar.core.assessment import ANNOUNCED, Chain, Ending, Finding, Specified, Withdrawn
from sidecar.core.assignment import Offer, Slot
from sidecar.core.documents import Withdrawal
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.grants import Scope
from sidecar.core.lineage import (
    AnyNode,
    OwnNode,
    about_nodes,
    authority_node,
    base_nodes,
    claim_nodes,
    evidence_nodes,
    own_nodes,
    signer_nodes,
    specification_nodes,
)
from sidecar.core.memory import LineageNode
from sidecar.core.objectors import Objectors
from sidecar.core.predicates import Manifest, Predicate
from sidecar.core.reasons import Reason, one_line
from sidecar.core.snapshot import TrustState
from sidecar.core.succession import granted_successors
from sidecar.core.withdrawals import WithdrawalIndex

T = TypeVar("T")


class Defect(IntEnum):
    """Why a decision cannot rest on a signature, in the order in which it is tolerated."""

    NONE = 0
    STALE = 1
    WITHDRAWN = 2


@dataclass(frozen=True, slots=True)
class Ranked(Generic[T]):
    """What is offered for a slot, best first, each with its defect."""

    role: str
    offers: Sequence[tuple[Defect, Offer[T]]]

    def slot(self, worst: Defect) -> Slot[T]:
        """Return the slot with the offers that are not worse than ``worst``."""
        return Slot(self.role, tuple([o for defect, o in self.offers if defect <= worst]))


@dataclass(frozen=True, slots=True)
class Cascade:
    """The withdrawals that count for one question at one instant.

    ``indexes`` holds only those that published any: most have not, and every node is looked up.
    ``counted`` are the authorities whose withdrawals count against every node.
    """

    state: TrustState
    objectors: Objectors
    now: datetime
    indexes: tuple[tuple[str, WithdrawalIndex], ...]
    counted: frozenset[str]
    constituents: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, state: TrustState, found: Objectors, customers: Iterable[str], now: datetime
    ) -> Cascade:
        """Collect what the objectors withdrew, and those that declare or vouch for the caller."""
        names = sorted({*found.names, *customers})
        indexes = tuple(
            (name, state.withdrawals[name])
            for name in names
            if name in state.withdrawals and state.withdrawals[name].entries
        )
        return cls(state, found, now, indexes, frozenset(names))

    def relying_on(self, constituents: Iterable[str]) -> Cascade:
        """Return it with the authorities of everything that was chosen."""
        return replace(self, constituents=tuple(sorted(set(constituents))))

    def withdrawn(self, nodes: Iterable[AnyNode]) -> Withdrawn | None:
        """Return the first withdrawal in effect for one of ``nodes``."""
        for node in self._looked_up(nodes):
            for authority, entry in self._hits(node):
                if entry.in_effect(self.now):
                    named = node.node if isinstance(node, OwnNode) else node
                    if not isinstance(named, LineageNode):
                        named = LineageNode(entry.kind, entry.subject)
                    return Withdrawn(named, authority, entry.reason, entry.effective)
        return None

    def announced(self, nodes: Iterable[AnyNode]) -> Ending | None:
        """Return the next withdrawal of one of ``nodes`` that is yet to take effect."""
        ahead = [
            Ending(entry.effective, ANNOUNCED, authority)
            for node in self._looked_up(nodes)
            for authority, entry in self._hits(node)
            if entry.effective is not None and entry.effective > self.now
        ]
        return min(ahead, default=None)

    def tainted(self, item: Evidence[Predicate], signer: Signer) -> bool:
        """Return whether a piece of evidence, as signed by ``signer``, is withdrawn by itself."""
        if not self.indexes and signer.authority in self.counted:
            return False
        return self.withdrawn(self.nodes(item, signer)) is not None

    def nodes(self, item: Evidence[Predicate], signer: Signer) -> tuple[AnyNode, ...]:
        """Return the nodes of evidence as signed, and what its signer alone can withdraw of it."""
        return (*evidence_nodes(item, signer), *self.own(item, signer))

    def own(self, item: Evidence[Predicate], signer: Signer) -> tuple[OwnNode, ...]:
        """Return what a signer whose withdrawals do not count anyway can withdraw of its own."""
        return () if signer.authority in self.counted else own_nodes(item, signer)

    def defect(self, item: Evidence[Predicate], signer: Signer) -> Defect:
        """Return why a decision cannot rest on a signature, or that it can."""
        if self.tainted(item, signer):
            return Defect.WITHDRAWN
        return Defect.NONE if self.fresh(signer.authority) else Defect.STALE

    def usable(self, item: Evidence[Predicate], signer: Signer) -> bool:
        """Return whether a decision can rest on a signature: not withdrawn, its authority fresh."""
        return self.defect(item, signer) is Defect.NONE

    def preferred(self, item: Evidence[Predicate], signers: Iterable[Signer]) -> Signer:
        """Return of at least one signer the one to rely on: a usable one, if there is one."""
        return min(signers, key=lambda s: (self.defect(item, s), s))

    def preferred_of_each(
        self, item: Evidence[Predicate], signers: Iterable[Signer]
    ) -> tuple[Signer, ...]:
        """Return a usable signer of each authority, in order; if there is none, ``preferred``."""
        ranked = sorted((self.defect(item, signer), signer) for signer in signers)
        usable: dict[str, Signer] = {}
        for defect, signer in ranked:
            if defect is Defect.NONE:
                usable.setdefault(signer.authority, signer)
        return tuple(usable.values()) or tuple(signer for _, signer in ranked[:1])

    def fresh(self, authority: str) -> bool:
        """Return whether an authority's metadata is unexpired and was heard since start."""
        view = self.state.authorities.get(authority)
        return view is not None and view.heard_since_start and view.expires > self.now

    def _looked_up(self, nodes: Iterable[AnyNode]) -> Iterable[AnyNode]:
        if self.indexes:
            return nodes
        return (node for node in nodes if isinstance(node, OwnNode))

    def _hits(self, node: AnyNode) -> Sequence[tuple[str, Withdrawal]]:
        if isinstance(node, OwnNode):
            index = self.state.withdrawals.get(node.author)
            return () if index is None else [(node.author, e) for e in index.hits(node.node)]
        return [(authority, e) for authority, index in self.indexes for e in index.hits(node)]


def manifest_nodes(item: Evidence[Manifest], signer: Signer) -> tuple[AnyNode, ...]:
    """Return the nodes of a manifest as signed, without its parents."""
    return (*claim_nodes(item), *signer_nodes(signer))


def lineage(chain: Chain, cascade: Cascade, provider: str, scope: Scope) -> tuple[AnyNode, ...]:
    """Return everything one model's admission relies on, apart from the environment."""
    nodes: list[AnyNode] = [*base_nodes(provider, chain.base)]
    state = cascade.state
    if chain.deployed is not None:
        nodes.extend(evidence_nodes(chain.deployed.binding, chain.deployed.signer))
    if chain.manifest is not None and chain.producer is not None:
        nodes.extend(manifest_nodes(chain.manifest, chain.producer))
        nodes.extend(_succeeded(cascade, chain.manifest, scope))
    for parent, signer in chain.parents:
        nodes.extend(manifest_nodes(parent, signer))
        nodes.extend(state.statements.get(parent.digest, ()))
        nodes.extend(about_nodes(parent.digest))
        nodes.extend(_succeeded(cascade, parent, scope))
    for entry in chain.specifications:
        nodes.extend(specified_nodes(entry, cascade))
    for suite in chain.suites:
        nodes.extend(evidence_nodes(suite.result, suite.signer))
    for role in chain.approvals:
        nodes.extend(evidence_nodes(role.approval, role.signer))
    return tuple(dict.fromkeys(nodes))


def answering(cascade: Cascade, grantees: Iterable[str]) -> tuple[LineageNode, ...]:
    """Return the node of a provider that answers for a base model: one that is not withdrawn.

    Args:
        cascade: The withdrawals that count.
        grantees: At least one; only where all of them are withdrawn does that deny.
    """
    nodes = [authority_node(name) for name in grantees]
    return (min(nodes, key=lambda node: (cascade.withdrawn((node,)) is not None, node)),)


def specified_nodes(under: Specified, cascade: Cascade) -> Iterator[AnyNode]:
    """Yield the nodes of a specification and of all that it extends."""
    for item, signer in ((under.specification, under.signer), *under.extended):
        yield from specification_nodes(item, signer)
        yield from cascade.own(item, signer)


def _succeeded(cascade: Cascade, item: Evidence[Manifest], scope: Scope) -> Iterator[AnyNode]:
    """Yield the lineage of everything that supersedes a manifest (law 6)."""
    model, state = item.predicate.model, cascade.state
    about = Scope(scope.environment, scope.sector, f"{model.provider}/{model.id}")
    for entry, signers in granted_successors(state, item.digest, about):
        yield from entry.nodes
        yield from state.statements.get(entry.by, ())
        yield from about_nodes(entry.by)
        # An announced successor is known by its digest alone, without a key.
        nodes = [signer_nodes(signer) for signer in signers if signer.fingerprint]
        if nodes:
            # One signer that is not withdrawn is enough: only if all are withdrawn is it denied.
            yield from min(nodes, key=lambda each: (cascade.withdrawn(each) is not None, each))


def withdrawal_finding(cascade: Cascade, subject: str, nodes: tuple[AnyNode, ...]) -> Finding:
    """Step 6 for one model, or for the environment."""
    hit = cascade.withdrawn(nodes)
    if hit is None:
        number = sum(isinstance(node, LineageNode) for node in nodes)
        return Finding(6, subject, None, f"{number} things relied on, none withdrawn")
    return Finding(
        6,
        subject,
        Reason.WITHDRAWN,
        one_line(f"{hit.authority} withdrew {hit.node.kind} {hit.node.subject}: {hit.reason}"),
        withdrawn=hit,
    )


def freshness_finding(cascade: Cascade) -> Finding:
    """Step 7: constituents and objectors whose silence denies are fresh, all others were heard."""
    required = {*cascade.constituents, *cascade.objectors.must_be_fresh}
    stale = {name for name in required if not cascade.fresh(name)}
    stale |= {name for name in cascade.objectors.names if name not in cascade.state.authorities}
    missing = tuple(sorted(stale))
    if missing:
        detail = "no current trust metadata of " + ", ".join(missing)
        return Finding(7, ", ".join(missing), Reason.TRUST_STALE, detail, missing)
    subject = ", ".join(cascade.constituents)
    signed, heard = len(cascade.constituents), len(cascade.objectors.names)
    return Finding(7, subject, None, f"constituents fresh: {signed}, objectors heard: {heard}")
