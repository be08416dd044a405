"""Keeps track of successions and of what lineages named, one step at a time (laws 6 and 7).

What is added here is remembered for good: losing a file may only deny. Each method looks only at
what a changed statement can have changed: its manifest, the manifests tuned from that, those that
supersede it, and the environments in which they are declared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from sidecar.core import declared
from sidecar.core.accepted import ChangedEvidence
from sidecar.core.documents import WithdrawalKind
from sidecar.core.eligibility import beginning, grant_for, signed_by
from sidecar.core.evidence import Evidence
from sidecar.core.floors import EffectiveEnvironment, effective_environment
from sidecar.core.grants import CUSTOMER, PRODUCER, OperatorTrust, Scope
from sidecar.core.lineage import claim_nodes, statement_node
from sidecar.core.memory import LineageNode, Successor
from sidecar.core.patterns import any_matches, matches
from sidecar.core.predicates import Approval, Environment, Manifest, Result
from sidecar.core.succession import MAX_LINKS, complete
from sidecar.core.tables import Drafts
from sidecar.core.withdrawals import PublishedNoes

Judged = dict[str, set[str]]
"""SPIFFE ID → digests of superseding manifests that may have taken over there."""


@dataclass(frozen=True, slots=True)
class Lineages:
    """Updates everything that is remembered of successions, for one step.

    Attributes:
        operator: The operator's grants.
        drafts: The tables of this step, with its evidence.
        published: Authority → what it announces, as of this step.
    """

    operator: OperatorTrust
    drafts: Drafts
    published: Mapping[str, PublishedNoes]

    @property
    def approvals(self) -> Mapping[str, tuple[Evidence[Approval], ...]]:
        """Manifest digest → approvals, as of this step."""
        return self.drafts.approvals

    @property
    def results(self) -> Mapping[str, tuple[Evidence[Result], ...]]:
        """Manifest digest → results, as of this step."""
        return self.drafts.results

    def update(self, changed: ChangedEvidence, announced: Iterable[str]) -> None:
        """Follow the changes of one step.

        Args:
            changed: What changed of the evidence.
            announced: Superseded digests whose announced successors changed.
        """
        declared.update(self.drafts, self.operator, changed.environments)
        manifests, about = changed.manifests, changed.about
        succeeded, built_on = {*announced}, {*about}
        for digest in manifests:
            self._relate(digest)
            item = self.drafts.manifests_by_digest.get(digest)
            if item is not None:
                model = item.predicate.model
                if self._by_some_producer(item):
                    self.drafts.adapted[f"{model.provider}/{model.id}"] = None
                if model.parent is not None:
                    built_on.add(model.parent.sha256)
        for digest in changed.specifications:
            self._relate_specification(digest)
        for item in self._descendants({*manifests, *self._made_under(changed.specifications)}):
            successor = self._successor(item)
            self._remember(successor)
            succeeded.add(successor.manifest)
            built_on.add(successor.by)
        for digest in built_on:
            self._keep_statements(digest)
        self._take_over(self._to_judge(manifests, about, changed.environments))
        for digest in succeeded:
            entries = (*self.drafts.lineages.get(digest, ()), *self._announced(digest))
            self.drafts.successors.put(digest, entries, keep=bool(entries))

    def _relate(self, digest: str) -> None:
        """Keep the relations to the parent, to what is superseded, and to environments."""
        drafts = self.drafts
        known = drafts.manifests_by_digest.get(digest)
        item = known or drafts.manifests_by_digest.base[digest]
        parent, supersedes = item.predicate.model.parent, item.predicate.supersedes
        if parent is not None:
            drafts.children.put(parent.sha256, digest, keep=known is not None)
        if item.predicate.specification is not None:
            under = item.predicate.specification.sha256
            drafts.specified.put(under, digest, keep=known is not None)
        if supersedes is None:
            return
        drafts.superseding.put(supersedes.sha256, digest, keep=known is not None)
        counts = known is not None and self._by_some_producer(known)
        for pattern in {spec.id for spec in item.predicate.environments}:
            drafts.covering.put(pattern, digest, keep=counts)
            if "*" in pattern:
                drafts.patterns[pattern] = None

    def _relate_specification(self, digest: str) -> None:
        known = self.drafts.specifications.get(digest)
        item = known or self.drafts.specifications.base[digest]
        if item.predicate.extends is not None:
            extended = item.predicate.extends.sha256
            self.drafts.extending.put(extended, digest, keep=known is not None)

    def _made_under(self, specifications: Iterable[str]) -> Iterator[str]:
        """Yield the manifests made under one of ``specifications``, or under what extends it."""
        pending, seen = {*specifications}, set[str]()
        while pending:
            digest = pending.pop()
            seen.add(digest)
            pending.update({*self.drafts.extending.of(digest)} - seen)
            yield from self.drafts.specified.of(digest)

    def _by_some_producer(self, item: Evidence[Manifest]) -> bool:
        model = item.predicate.model
        name = f"{model.provider}/{model.id}"
        return any(
            grant.role == PRODUCER and any_matches(grant.models, name)
            for signer in item.signers
            for grant in self.operator.of(signer.authority)
        )

    def _supersedes(self, digest: str) -> Evidence[Manifest] | None:
        """Return a known manifest that supersedes another, by some granted producer."""
        item: Evidence[Manifest] | None = self.drafts.manifests_by_digest.get(digest)
        if item is None or item.predicate.supersedes is None or not self._by_some_producer(item):
            return None
        return item

    def _descendants(self, digests: Iterable[str]) -> Iterator[Evidence[Manifest]]:
        """Yield the superseding manifests in whose ancestry one of ``digests`` may be."""
        level, seen = {*digests}, set[str]()
        for _ in range(MAX_LINKS + 1):
            seen |= level
            level = {child for digest in level for child in self.drafts.children.of(digest)} - seen
        yield from (item for digest in seen if (item := self._supersedes(digest)) is not None)

    def _successor(self, item: Evidence[Manifest]) -> Successor:
        assert item.predicate.supersedes is not None
        nodes = {node for each in self._ancestry(item) for node in self._named_by(each)}
        signers = tuple((signer.authority, signer.fingerprint) for signer in item.signers)
        return Successor(
            item.predicate.supersedes.sha256, item.digest, signers, tuple(sorted(nodes))
        )

    def _named_by(self, item: Evidence[Manifest]) -> Iterator[LineageNode]:
        """Yield what a manifest names, and the specifications that its own extends.

        A specification is named by what extends it, also where its file is lost.
        """
        yield from claim_nodes(item)
        digest = item.predicate.specification
        # A digest cannot name a payload that names it, so the chain ends.
        while digest is not None:
            yield LineageNode(WithdrawalKind.SPECIFICATION, digest.sha256)
            known = self.drafts.specifications.get(digest.sha256)
            digest = None if known is None else known.predicate.extends

    def _ancestry(self, item: Evidence[Manifest]) -> Iterator[Evidence[Manifest]]:
        """Yield a manifest and its known parents, as many as step 2 follows."""
        current: Evidence[Manifest] | None = item
        found = 0
        while current is not None and found <= MAX_LINKS:
            yield current
            found += 1
            parent = current.predicate.model.parent
            current = None if parent is None else self.drafts.manifests_by_digest.get(parent.sha256)

    def _remember(self, found: Successor) -> None:
        drafts = self.drafts
        known = {each.by: each for each in drafts.lineages.get(found.manifest, ())}
        before = known.get(found.by)
        if before is not None:
            found = replace(
                found,
                signers=tuple(sorted({*before.signers, *found.signers})),
                nodes=tuple(sorted({*before.nodes, *found.nodes})),
            )
        keep_lineage(drafts, found)

    def _keep_statements(self, digest: str) -> None:
        """Remember the approvals and results about a manifest that others build on."""
        drafts = self.drafts
        about = drafts.statements.get(digest, ())
        if not (about or digest in drafts.succeeds or any(drafts.children.of(digest))):
            return
        items = (*drafts.approvals.get(digest, ()), *drafts.results.get(digest, ()))
        nodes = {*about, *(statement_node(item) for item in items)}
        if len(nodes) > len(about):
            drafts.statements[digest] = tuple(sorted(nodes))

    def _announced(self, digest: str) -> Iterator[Successor]:
        """Yield what producers announce in their documents: nothing but the digest is known."""
        for name in sorted(self.published):
            for by in self.published[name].announced.get(digest, ()):
                node = LineageNode(WithdrawalKind.MANIFEST, by)
                yield Successor(digest, by, ((name, ""),), (node,))

    def _to_judge(
        self, manifests: Iterable[str], about: Iterable[str], environments: Iterable[str]
    ) -> Judged:
        """Return where a take-over may have become complete, or may reach further than before."""
        found: Judged = defaultdict(set)
        for name in environments:
            effective = self._newest(name, self.drafts.environments.get(name, ()))
            before = self._newest(name, self.drafts.environments.base.get(name, ()))
            if effective is not None and effective != before:
                found[name].update(self.drafts.covering.of(name))
                for pattern in self.drafts.patterns:
                    if matches(pattern, name):
                        found[name].update(self.drafts.covering.of(pattern))
        for digest in about:
            for name in self._declared(digest):
                if (digest, name) not in self.drafts.took:
                    found[name].add(digest)
        for digest in self._superseding(manifests):
            for name in self._declared(digest):
                found[name].add(digest)
        return found

    def _superseding(self, digests: Iterable[str]) -> set[str]:
        """Return ``digests`` and all that supersede one of them, through lost ones too."""
        pending, seen = {*digests}, set[str]()
        while pending:
            digest = pending.pop()
            seen.add(digest)
            remembered = (each.by for each in self.drafts.lineages.get(digest, ()))
            pending.update({*self.drafts.superseding.of(digest), *remembered} - seen)
        return seen

    def _declared(self, digest: str) -> Iterator[str]:
        """Yield the declared environments that a superseding manifest names."""
        item = self._supersedes(digest)
        for pattern in () if item is None else {spec.id for spec in item.predicate.environments}:
            if "*" not in pattern:
                if pattern in self.drafts.environments:
                    yield pattern
            else:
                yield from (name for name in self.drafts.environments if matches(pattern, name))

    def _take_over(self, judged: Judged) -> None:
        drafts = self.drafts
        for name, digests in judged.items():
            effective = self._newest(name, drafts.environments.get(name, ()))
            if effective is None:
                continue
            for item in filter(None, map(self._supersedes, digests)):
                if (item.digest, name) in drafts.took or complete(self, effective, item):
                    for older in self._replaced(effective, item):
                        keep_takeover(drafts, older, item.digest, name)

    def _newest(
        self, name: str, declarations: Iterable[Evidence[Environment]]
    ) -> EffectiveEnvironment | None:
        """Return the newest declaration by a granted customer, as signed, with the floors."""
        for item in sorted(declarations, key=beginning, reverse=True):
            scope = Scope(name, item.predicate.sector)
            if signed_by(self.operator, item, CUSTOMER, scope, item.predicate.jurisdictions):
                return effective_environment(self.operator, item)
        return None

    def _replaced(self, effective: EffectiveEnvironment, item: Evidence[Manifest]) -> Iterator[str]:
        """Yield what a manifest supersedes, and what that supersedes, of the same model."""
        model = item.predicate.model
        name = f"{model.provider}/{model.id}"
        scope = Scope(effective.environment, effective.sector, name)
        link = item.predicate.supersedes
        digest = None if link is None else link.sha256
        # A digest cannot name a payload that names it, so the chain ends.
        while digest is not None:
            older = self.drafts.manifests_by_digest.get(digest)
            if older is None:
                yield digest
                digest = self._lost_link(digest, scope)
                continue
            claim = older.predicate.model
            if (claim.provider, claim.id) != (model.provider, model.id):
                return
            yield digest
            link = older.predicate.supersedes
            granted = signed_by(self.operator, older, PRODUCER, scope)
            digest = link.sha256 if link is not None and granted else None

    def _lost_link(self, digest: str, scope: Scope) -> str | None:
        """Return what a manifest whose file was lost superseded, by a producer granted for it."""
        node = LineageNode(WithdrawalKind.MODEL, str(scope.model))
        superseded: tuple[str, ...] = self.drafts.succeeds.get(digest, ())
        for manifest in superseded:
            for entry in self.drafts.lineages.get(manifest, ()):
                granted = any(
                    grant_for(self.operator, authority, PRODUCER, scope) is not None
                    for authority, _ in entry.signers
                )
                if entry.by == digest and node in entry.nodes and granted:
                    return manifest
        return None


def keep_lineage(drafts: Drafts, found: Successor) -> None:
    """Remember what the lineage of a successor named, in place of what was remembered of it."""
    others = (each for each in drafts.lineages.get(found.manifest, ()) if each.by != found.by)
    drafts.lineages[found.manifest] = tuple(sorted((*others, found)))
    superseded = {*drafts.succeeds.get(found.by, ()), found.manifest}
    drafts.succeeds[found.by] = tuple(sorted(superseded))


def keep_takeover(drafts: Drafts, manifest: str, by: str, environment: str) -> None:
    """Remember that ``by`` took over from ``manifest`` in an environment."""
    successors = {*drafts.taken_over.get((manifest, environment), ()), by}
    drafts.taken_over[manifest, environment] = tuple(sorted(successors))
    drafts.took[by, environment] = None
