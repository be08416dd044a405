"""Indexes one authority's withdrawals and failures by what they withdraw.

Law 3: withdrawing an approval, a result, a declaration or a binding also withdraws what the same
author signed earlier on that matter. The index holds those older items as ``AuthoredNode``.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from immutables import Map

from sidecar.core import wire
from sidecar.core.documents import (
    BY_PATTERN,
    Failure,
    Withdrawal,
    WithdrawalKind,
    WithdrawalsDocument,
)
from sidecar.core.evidence import Evidence
from sidecar.core.kinds import BY_NOUN, kind_of
from sidecar.core.memory import LineageNode, WithdrawnStatement
from sidecar.core.predicates import Manifest, Predicate
from sidecar.core.tables import EMPTY, Drafts

K = TypeVar("K")
V = TypeVar("V")


class AuthoredNode(NamedTuple):
    """A piece of evidence as one author signed it: the kind and digest to withdraw, the author."""

    kind: WithdrawalKind
    digest: str
    author: str


class AboutNode(NamedTuple):
    """All approvals, or all results, about a manifest, whether or not they are known here."""

    kind: WithdrawalKind
    manifest: str


@dataclass(frozen=True, slots=True)
class WithdrawalIndex:
    """One authority's withdrawals.

    Attributes:
        entries: How many it published.
        exact: By kind and subject; approvals and results also by ``_about`` their manifest.
        patterns: Those whose subject has a wildcard.
        authored: By evidence and author: what a withdrawal of a newer statement also withdraws.
    """

    entries: int
    exact: Mapping[tuple[WithdrawalKind, str], tuple[Withdrawal, ...]]
    patterns: tuple[Withdrawal, ...]
    authored: Mapping[AuthoredNode, tuple[Withdrawal, ...]]

    @classmethod
    def of(cls, entries: tuple[Withdrawal, ...]) -> WithdrawalIndex:
        """Index ``entries``; ``WithdrawalReach`` adds what they also withdraw."""
        exact: dict[tuple[WithdrawalKind, str], list[Withdrawal]] = defaultdict(list)
        patterns = []
        for entry in entries:
            if entry.by_pattern and "*" in entry.subject:
                patterns.append(entry)
            else:
                exact[entry.kind, entry.named].append(entry)
            if entry.manifest is not None:
                exact[entry.kind, _about(entry.manifest)].append(entry)
        return cls(len(entries), frozen(exact), tuple(patterns), EMPTY)

    @property
    def identity(self) -> object:
        """Return an object that is the same for as long as every answer is."""
        return self

    def hits(self, node: LineageNode | AuthoredNode | AboutNode) -> tuple[Withdrawal, ...]:
        """Return the entries that withdraw ``node``, whenever they take effect."""
        if isinstance(node, AuthoredNode):
            return self.authored.get(node, ())
        if isinstance(node, AboutNode):
            return self.exact.get((node.kind, _about(node.manifest)), ())
        found = self.exact.get(node, ())
        if not self.patterns or node.kind not in BY_PATTERN:
            return found
        return found + tuple(e for e in self.patterns if e.hits(node.kind, node.subject))


def _about(manifest: str) -> str:
    """Return a key that is no subject: those of approvals and results are digests alone."""
    return f"about {manifest}"


def same_artifact(digest: str) -> str:
    """Return the key of failures of every manifest of an artifact, which is no digest."""
    return f"artifact {digest}"


def same_run(model: str, run: str) -> str:
    """Return the key of failures of every manifest of ``provider/id`` that names a run."""
    return "run " + wire.canonical([model, run]).decode()


def failure_keys(item: Evidence[Manifest]) -> tuple[str, str, str]:
    """Return the keys of all failures that are of a manifest's model."""
    model, run = item.predicate.model, item.predicate.run
    return (
        item.digest,
        same_artifact(item.statement.subject.digest.sha256),
        same_run(f"{model.provider}/{model.id}", run.id),
    )


@dataclass(frozen=True, slots=True)
class PublishedNoes:
    """Failures and supersessions in one authority's ``withdrawals.json``.

    Attributes:
        document: Of which this is the index.
        failures: What was tested → its failures: the digest of a manifest, or ``same_artifact`` or
            ``same_run``.
        announced: Superseded digest → the digests that are announced as its successors.
    """

    document: WithdrawalsDocument
    failures: Mapping[str, tuple[Failure, ...]]
    announced: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, document: WithdrawalsDocument) -> PublishedNoes:
        """Index a document."""
        failures: dict[str, list[Failure]] = defaultdict(list)
        for failure in document.failures:
            failures[failure.manifest].append(failure)
            if failure.artifact is not None:
                failures[same_artifact(failure.artifact)].append(failure)
            if failure.model is not None and failure.run is not None:
                failures[same_run(failure.model, failure.run)].append(failure)
        announced: dict[str, list[str]] = defaultdict(list)
        for entry in document.supersessions:
            announced[entry.manifest].append(entry.by)
        return cls(document, frozen(failures), frozen(announced))


@dataclass(frozen=True, slots=True)
class WithdrawalReach:
    """Keeps what withdrawals reach beyond what they name, step by step (law 3).

    Attributes:
        drafts: The tables of this step, with its evidence.
        indexes: Authority → index; entries are replaced.
        before: Authority → its index before the step. What its entries withdraw is remembered.
    """

    drafts: Drafts
    indexes: dict[str, WithdrawalIndex]
    before: Mapping[str, WithdrawalIndex] = EMPTY

    def update(self, changed: Iterable[str], renewed: Iterable[str]) -> None:
        """Remember withdrawn statements, and find the earlier ones that they reach.

        Args:
            changed: Payload digests whose evidence changed.
            renewed: Authorities whose entries changed; their indexes reach nothing yet.
        """
        digests = tuple(changed)
        nodes: set[AuthoredNode] = set()
        for statement in self._newly_withdrawn(digests, renewed):
            self._remember(statement)
            nodes.update(self._on_matter(statement))
        if self.drafts.withdrawn:
            for name in renewed:
                for at in self.indexes[name].exact:
                    for statement in self.drafts.withdrawn_as.get(at, ()):
                        nodes.update(self._on_matter(statement))
        for digest in digests:
            nodes.update(self._nodes(digest))
        if nodes:
            self._reach(nodes)

    def _newly_withdrawn(
        self, changed: tuple[str, ...], renewed: Iterable[str]
    ) -> set[WithdrawnStatement]:
        """Return the known statements that an entry names by digest and that are not remembered."""
        found: set[WithdrawnStatement] = set()
        named = [index.exact for index in self.indexes.values() if index.exact]
        for digest in changed if named else ():
            item = self.drafts.evidence.get(digest)
            if item is not None:
                at = kind_of(item.predicate).withdrawal, digest
                if any(at in exact for exact in named):
                    found.update(authored_statements(item))
        for name in renewed:
            known = self.before[name].exact if name in self.before else EMPTY
            for kind, subject in self.indexes[name].exact.keys() - known.keys():
                item = self.drafts.evidence.get(subject)
                if item is not None and kind_of(item.predicate).withdrawal is kind:
                    found.update(authored_statements(item))
        return {each for each in found if each not in self._remembered(each)}

    def _remembered(self, statement: WithdrawnStatement) -> tuple[WithdrawnStatement, ...]:
        known: tuple[WithdrawnStatement, ...]
        known = self.drafts.withdrawn.get((statement.author, statement.matter), ())
        return known

    def _remember(self, statement: WithdrawnStatement) -> None:
        remember(self.drafts, statement)

    def _on_matter(self, statement: WithdrawnStatement) -> Iterator[AuthoredNode]:
        """Yield every known statement of the author on the matter of ``statement``."""
        noun, *parts = json.loads(statement.matter)
        kind = BY_NOUN[noun]
        assert kind.index_of is not None
        table = getattr(self.drafts, kind.table)
        for item in table.get(kind.index_of(parts), ()):
            for each in authored_statements(item):
                if (each.author, each.matter) == (statement.author, statement.matter):
                    yield AuthoredNode(each.kind, each.digest, each.author)

    def _nodes(self, digest: str) -> Iterator[AuthoredNode]:
        """Yield what may be, or have been, reached of a payload whose evidence changed."""
        if not self.drafts.withdrawn:
            return
        for items in (self.drafts.evidence, self.drafts.evidence.base):
            item = items.get(digest)
            for each in () if item is None else authored_statements(item):
                if self._remembered(each):
                    yield AuthoredNode(each.kind, each.digest, each.author)

    def _reach(self, nodes: set[AuthoredNode]) -> None:
        tables = self.drafts
        newer = {node: reaching(node, tables.evidence, tables.withdrawn) for node in nodes}
        for name, index in self.indexes.items():
            authored: dict[AuthoredNode, tuple[Withdrawal, ...]] = {
                node: tuple(
                    entry
                    for each in statements
                    for entry in index.exact.get((each.kind, each.digest), ())
                )
                for node, statements in newer.items()
            }
            known = {node: index.authored.get(node, ()) for node in nodes}
            if authored != known:
                draft = Map(index.authored).mutate()
                for node, entries in authored.items():
                    if entries:
                        draft[node] = entries
                    else:
                        draft.pop(node, None)
                self.indexes[name] = WithdrawalIndex(
                    index.entries, index.exact, index.patterns, draft.finish()
                )


def reaching(
    node: AuthoredNode,
    evidence: Mapping[str, Evidence[Any]],
    withdrawn: Mapping[tuple[str, str], tuple[WithdrawnStatement, ...]],
) -> tuple[WithdrawnStatement, ...]:
    """Return the withdrawn statements that reach ``node``, in the order of their beginning.

    Args:
        node: Evidence as one author signed it.
        evidence: Payload digest → evidence.
        withdrawn: (author, matter) → remembered withdrawn statements.
    """
    item = evidence.get(node.digest)
    authored = () if item is None else authored_statements(item)
    older = next((each for each in authored if each.author == node.author), None)
    if older is None:
        return ()
    began = older.began, older.digest
    known = withdrawn.get((older.author, older.matter), ())
    newer = (each for each in known if (each.began, each.digest) > began)
    return tuple(sorted(newer, key=lambda each: (each.began, each.digest)))


def remember(drafts: Drafts, statement: WithdrawnStatement) -> None:
    """Add a withdrawn statement to what is remembered."""
    at = statement.author, statement.matter
    named = statement.kind, statement.digest
    drafts.withdrawn[at] = tuple(sorted({*drafts.withdrawn.get(at, ()), statement}))
    drafts.withdrawn_as[named] = tuple(sorted({*drafts.withdrawn_as.get(named, ()), statement}))


def authored_statements(item: Evidence[Predicate]) -> Iterator[WithdrawnStatement]:
    """Yield a statement on a matter once for each of its authors."""
    about = matter(item)
    if about is not None:
        kind, text = kind_of(item.predicate).withdrawal, wire.canonical(about).decode()
        for author in dict.fromkeys(signer.authority for signer in item.signers):
            yield WithdrawnStatement(kind, item.digest, author, text, _began(item))


Matter = list[object]
"""JSON values; see ``kinds.EvidenceKind.matter``."""


def matter(item: Evidence[Any]) -> Matter | None:
    """Return what a statement is about, apart from its author; ``None`` for single statements."""
    kind, subject = kind_of(item.predicate), item.statement.subject
    if kind.matter is None:
        return None
    return [kind.noun, *kind.matter(subject, item.predicate)]


def _began(item: Evidence[Any]) -> datetime:
    began: datetime = item.predicate.window.not_before
    return began


def frozen(index: Mapping[K, Iterable[V]]) -> Mapping[K, tuple[V, ...]]:
    """Return ``index`` read-only, with tuples."""
    return MappingProxyType({key: tuple(values) for key, values in index.items()})
