"""Steps 6 and 7: the cascade and freshness.

Whoever signed something a decision may rely on is a constituent of it. A constituent's withdrawal
of anything in the lineage ends the decision at once; a stranger's changes nothing. Constituents
are found from the evidence *as signed*, before any withdrawal is looked at: otherwise an authority
that withdraws its own key would cease to be a constituent and its withdrawal would be void.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sidecar.core.assessment import Chain, Finding, Specified, Withdrawn
from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.core.evidence import Environment, Evidence, Manifest, Predicate, Signer
from sidecar.core.kinds import kind_of
from sidecar.core.memory import LineageNode
from sidecar.core.reasons import Reason
from sidecar.core.trust_state import TrustState, WithdrawalIndex


@dataclass(frozen=True, slots=True)
class Cascade:
    """The constituents' withdrawals at one instant.

    ``indexes`` holds only those that published any: most have not, and every node is asked about.
    """

    state: TrustState
    constituents: tuple[str, ...]
    now: datetime
    indexes: tuple[tuple[str, WithdrawalIndex], ...]

    @classmethod
    def of(cls, state: TrustState, constituents: Iterable[str], now: datetime) -> Cascade:
        """Collect what ``constituents`` withdrew."""
        names = tuple(sorted(set(constituents)))
        indexes = tuple(
            (name, state.withdrawals[name])
            for name in names
            if name in state.withdrawals and state.withdrawals[name].entries
        )
        return cls(state, names, now, indexes)

    def withdrawn(self, nodes: Iterable[LineageNode]) -> Withdrawn | None:
        """The first withdrawal in effect for one of ``nodes``."""
        if not self.indexes:
            return None
        for node in nodes:
            for authority, entry in self._hits(node):
                if entry.in_effect(self.now):
                    return Withdrawn(node, authority, entry.reason, entry.effective)
        return None

    def next_change(self, nodes: Iterable[LineageNode]) -> datetime | None:
        """When the next withdrawal of one of ``nodes`` takes effect."""
        if not self.indexes:
            return None
        ahead = [
            entry.effective
            for node in nodes
            for _, entry in self._hits(node)
            if entry.effective is not None and entry.effective > self.now
        ]
        return min(ahead, default=None)

    def tainted(self, item: Evidence[Predicate], signer: Signer) -> bool:
        """Whether a piece of evidence, as signed by ``signer``, is withdrawn by itself."""
        return bool(self.indexes) and self.withdrawn(evidence_nodes(item, signer)) is not None

    def preferred(self, item: Evidence[Predicate], signers: Iterable[Signer]) -> Signer:
        """Of at least one signer, the one to rely on: one that stands, if there is one."""
        return min(signers, key=lambda s: (self.tainted(item, s), s))

    def _hits(self, node: LineageNode) -> Iterator[tuple[str, Withdrawal]]:
        for authority, index in self.indexes:
            for entry in index.hits(node.kind, node.subject):
                yield authority, entry


def evidence_nodes(item: Evidence[Predicate], signer: Signer) -> tuple[LineageNode, ...]:
    """The evidence itself, the key that signed it and the authority whose key that is."""
    return (
        LineageNode(kind_of(item.predicate).withdrawal, item.digest),
        LineageNode(WithdrawalKind.KEY, signer.fingerprint),
        LineageNode(WithdrawalKind.AUTHORITY, signer.authority),
    )


def manifest_nodes(item: Evidence[Manifest], signer: Signer) -> tuple[LineageNode, ...]:
    """Everything a manifest rests on, without its parents."""
    manifest = item.predicate
    model = manifest.model
    return (
        *evidence_nodes(item, signer),
        LineageNode(WithdrawalKind.MODEL, f"{model.provider}/{model.id}"),
        LineageNode(WithdrawalKind.BASE_MODEL, f"{model.provider}/{model.base}"),
        LineageNode(WithdrawalKind.RUN, manifest.run.id),
        *(LineageNode(WithdrawalKind.CORPUS, each.digest.sha256) for each in manifest.corpora),
        *(
            LineageNode(WithdrawalKind.EVALUATION, out.digest.sha256)
            for out in manifest.evaluations
        ),
        *(
            LineageNode(WithdrawalKind.EVALUATION, s.digest.sha256)
            for s in manifest.envelope.suites
        ),
    )


def environment_nodes(item: Evidence[Environment], signer: Signer) -> tuple[LineageNode, ...]:
    """The environment by name and by its declaration."""
    name = item.statement.subject.name
    return (LineageNode(WithdrawalKind.ENVIRONMENT, name), *evidence_nodes(item, signer))


def specification_nodes(entry: Specified) -> tuple[LineageNode, ...]:
    """A specification, and the suites it declares."""
    suites = entry.specification.predicate.envelope.suites
    return (
        *evidence_nodes(entry.specification, entry.signer),
        *(LineageNode(WithdrawalKind.EVALUATION, suite.digest.sha256) for suite in suites),
    )


def lineage(chain: Chain, provider: str) -> tuple[LineageNode, ...]:
    """Everything one model's admission relies on, apart from the environment."""
    nodes: list[LineageNode] = [LineageNode(WithdrawalKind.BASE_MODEL, f"{provider}/{chain.base}")]
    if chain.deployed is not None:
        nodes.extend(evidence_nodes(chain.deployed.binding, chain.deployed.signer))
    if chain.manifest is not None and chain.producer is not None:
        nodes.extend(manifest_nodes(chain.manifest, chain.producer))
    for parent, signer in chain.parents:
        nodes.extend(manifest_nodes(parent, signer))
    for entry in chain.specifications:
        nodes.extend(specification_nodes(entry))
    for suite in chain.suites:
        nodes.extend(evidence_nodes(suite.result, suite.signer))
    for role in chain.approvals:
        nodes.extend(evidence_nodes(role.approval, role.signer))
    return tuple(dict.fromkeys(nodes))


def intact(cascade: Cascade, subject: str, nodes: tuple[LineageNode, ...]) -> Finding:
    """Step 6 for one model, or for the environment."""
    hit = cascade.withdrawn(nodes)
    if hit is None:
        return Finding(6, subject, None, f"{len(nodes)} things relied on, none withdrawn")
    return Finding(
        6,
        subject,
        Reason.WITHDRAWN,
        f"{hit.authority} withdrew {hit.node.kind} {hit.node.subject}: {hit.reason}",
        withdrawn=hit,
    )


def fresh(cascade: Cascade) -> Finding:
    """Step 7: every constituent's metadata is unexpired now; one never verified is not fresh."""
    views = cascade.state.authorities
    stale = tuple(
        name
        for name in cascade.constituents
        if name not in views or views[name].expires <= cascade.now
    )
    subject = ", ".join(stale or cascade.constituents)
    if stale:
        detail = "no current trust metadata of " + ", ".join(stale)
        return Finding(7, subject, Reason.TRUST_STALE, detail, stale)
    return Finding(7, subject, None, f"{len(cascade.constituents)} constituents are fresh")
