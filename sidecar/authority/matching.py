"""Finds what a withdrawal matches among the evidence at hand, before it is published.

Pure. The evidence is read as stated, its signatures are not verified: an authority does not have
the operators' trust. So this answers "what would end, if this evidence counts", never "is it
admitted"; the gate decides with ``core.cascade``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sidecar.authority.matters import patterns_meet
from sidecar.core.documents import Withdrawal, WithdrawalKind
from sidecar.core.evidence import Statement
from sidecar.core.kinds import kind_of
from sidecar.core.predicates import (
    Approval,
    DeploymentBinding,
    Environment,
    Manifest,
    Predicate,
    Result,
    Specification,
)

Node = tuple[WithdrawalKind, str]


@dataclass(frozen=True, slots=True)
class StatedEvidence:
    """A piece of evidence, as stated.

    Attributes:
        digest: Hex SHA-256 of the payload.
        statement: What the payload holds.
        keys: Fingerprints that the envelope names; hints.
        author: The authority whose record holds it, or ``None`` where that is not known.
    """

    digest: str
    statement: Statement[Predicate]
    keys: tuple[str, ...] = ()
    author: str | None = None


@dataclass(frozen=True, slots=True)
class Matches:
    """What a withdrawal matches now, each sorted.

    Attributes:
        models: ``provider/id`` of adapted models that would be denied everywhere; the id alone
            where the manifest is not at hand.
        base_models: Patterns under which environments call base models un-adapted.
        environments: SPIFFE IDs from which every call would be denied.
    """

    models: tuple[str, ...]
    base_models: tuple[str, ...]
    environments: tuple[str, ...]

    def __bool__(self) -> bool:
        """Return whether anything matches."""
        return bool(self.models or self.base_models or self.environments)


@dataclass(slots=True)
class _Index:
    manifests: dict[str, Statement[Predicate]] = field(default_factory=dict)
    nodes: dict[str, set[Node]] = field(default_factory=lambda: defaultdict(set))
    """Digest of a piece of evidence → itself, its keys, its author, and what it names."""
    about: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Digest of a manifest → evidence about it."""
    successors: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def matches(entry: Withdrawal, evidence: Iterable[StatedEvidence]) -> Matches:
    """Return the models and environments that a withdrawal would deny (law 6: the lineage)."""
    known = tuple(evidence)
    index = _indexed(known)
    models = {
        f"{manifest.model.provider}/{manifest.model.id}"
        for digest, statement in index.manifests.items()
        if isinstance(manifest := statement.predicate, Manifest)
        and any(_hits(entry, *node) for node in _lineage(index, digest))
    }
    models |= {
        item.statement.subject.name
        for item in known
        if isinstance(item.statement.predicate, Approval | Result)
        and item.statement.subject.digest.sha256 not in index.manifests
        and any(
            _hits(entry, *node)
            for node in (
                *index.nodes[item.digest],
                (WithdrawalKind.MANIFEST, item.statement.subject.digest.sha256),
            )
        )
    }
    environments, base_models = set(), set()
    for item in known:
        predicate = item.statement.predicate
        if isinstance(predicate, Environment):
            if any(_hits(entry, *node) for node in index.nodes[item.digest]):
                environments.add(item.statement.subject.name)
            base_models |= {p for p in predicate.base_models if _hits_base_model(entry, p)}
    return Matches(*(tuple(sorted(found)) for found in (models, base_models, environments)))


def other_kind(entry: Withdrawal, evidence: Iterable[StatedEvidence]) -> str | None:
    """Return the kind under which evidence with the subject's digest is withdrawn, if another."""
    for item in evidence:
        kind = kind_of(item.statement.predicate).withdrawal
        if item.digest == entry.subject and kind is not entry.kind:
            return kind
    return None


def _indexed(known: tuple[StatedEvidence, ...]) -> _Index:
    index = _Index()
    for item in known:
        predicate, subject = item.statement.predicate, item.statement.subject
        nodes = index.nodes[item.digest]
        nodes.add((kind_of(predicate).withdrawal, item.digest))
        nodes |= {(WithdrawalKind.KEY, key) for key in item.keys}
        if item.author is not None:
            nodes.add((WithdrawalKind.AUTHORITY, item.author))
        if isinstance(predicate, Manifest):
            index.manifests[item.digest] = item.statement
            nodes |= set(_named(predicate))
            if predicate.supersedes is not None:
                index.successors[predicate.supersedes.sha256].add(item.digest)
        elif isinstance(predicate, Environment):
            nodes.add((WithdrawalKind.ENVIRONMENT, subject.name))
        elif isinstance(predicate, Specification):
            suites = predicate.envelope.suites
            nodes |= {(WithdrawalKind.EVALUATION, suite.digest.sha256) for suite in suites}
        elif isinstance(predicate, Approval | Result | DeploymentBinding):
            index.about[subject.digest.sha256].add(item.digest)
    return index


def _named(manifest: Manifest) -> Iterator[Node]:
    """Everything that a manifest names, without its parents."""
    model = manifest.model
    yield WithdrawalKind.MODEL, f"{model.provider}/{model.id}"
    yield WithdrawalKind.BASE_MODEL, f"{model.provider}/{model.base}"
    yield WithdrawalKind.RUN, manifest.run.id
    for corpus in manifest.corpora:
        yield WithdrawalKind.CORPUS, corpus.digest.sha256
    for output in manifest.evaluations:
        yield WithdrawalKind.EVALUATION, output.digest.sha256
    for suite in manifest.envelope.suites:
        yield WithdrawalKind.EVALUATION, suite.digest.sha256


def _lineage(index: _Index, digest: str) -> Iterator[Node]:
    """Return a manifest, its parents, what supersedes a parent, and the evidence about each."""
    seen: set[str] = set()
    ahead = [digest]
    while ahead:
        at = ahead.pop()
        if at in seen:
            continue
        seen.add(at)
        yield WithdrawalKind.MANIFEST, at
        yield from index.nodes.get(at, ())
        for item in index.about.get(at, ()):
            yield from index.nodes[item]
        if at != digest:
            ahead.extend(index.successors.get(at, ()))
        statement = index.manifests.get(at)
        if statement is not None and isinstance(statement.predicate, Manifest):
            manifest = statement.predicate
            if manifest.specification is not None:
                yield WithdrawalKind.SPECIFICATION, manifest.specification.sha256
                yield from index.nodes.get(manifest.specification.sha256, ())
            if manifest.model.parent is not None:
                ahead.append(manifest.model.parent.sha256)


def _hits(entry: Withdrawal, kind: WithdrawalKind, subject: str) -> bool:
    """Return whether an entry withdraws a node; ``model`` may name a base model."""
    if entry.kind is WithdrawalKind.MODEL and kind is WithdrawalKind.BASE_MODEL:
        return entry.subject == subject
    return entry.hits(kind, subject)


def _hits_base_model(entry: Withdrawal, pattern: str) -> bool:
    """Return whether an entry withdraws some base model that a declaration's pattern permits."""
    if entry.kind not in {WithdrawalKind.MODEL, WithdrawalKind.BASE_MODEL}:
        return False
    return patterns_meet(entry.subject, pattern)
