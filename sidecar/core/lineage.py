"""Lists what evidence relies on, each named as a withdrawal would name it (law 6).

The lineage is everything on the way to a model: keys, corpora, run, graders, evaluations, suites,
environment, base model, deployment, specification, approvals and results.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from sidecar.core.documents import WithdrawalKind
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.kinds import kind_of
from sidecar.core.memory import LineageNode
from sidecar.core.predicates import Environment, Manifest, Predicate, Specification
from sidecar.core.withdrawals import AboutNode, AuthoredNode


class OwnNode(NamedTuple):
    """A node that counts as withdrawn only by ``author``, the signer of what it is a node of."""

    author: str
    node: LineageNode | AuthoredNode


AnyNode = LineageNode | AuthoredNode | AboutNode | OwnNode


def statement_node(item: Evidence[Predicate]) -> LineageNode:
    """Return the node of a piece of evidence itself."""
    return LineageNode(kind_of(item.predicate).withdrawal, item.digest)


def authority_node(name: str) -> LineageNode:
    """Return the node of an authority itself."""
    return LineageNode(WithdrawalKind.AUTHORITY, name)


def about_nodes(manifest: str) -> tuple[AboutNode, AboutNode]:
    """Return the nodes of everything that evaluators and approvers ever signed about a manifest."""
    return (
        AboutNode(WithdrawalKind.APPROVAL, manifest),
        AboutNode(WithdrawalKind.RESULT, manifest),
    )


def signer_nodes(signer: Signer) -> tuple[LineageNode, LineageNode]:
    """Return the nodes of a key and of the authority whose key it is."""
    return (
        LineageNode(WithdrawalKind.KEY, signer.fingerprint),
        authority_node(signer.authority),
    )


def evidence_nodes(
    item: Evidence[Predicate], signer: Signer
) -> tuple[LineageNode | AuthoredNode, ...]:
    """Return the nodes of a piece of evidence as ``signer`` signed it."""
    row = kind_of(item.predicate)
    kind, (key, authority) = row.withdrawal, signer_nodes(signer)
    if row.matter is None:
        return LineageNode(kind, item.digest), key, authority
    authored = AuthoredNode(kind, item.digest, signer.authority)
    return LineageNode(kind, item.digest), authored, key, authority


def own_nodes(item: Evidence[Predicate], signer: Signer) -> tuple[OwnNode, ...]:
    """Return what the signer of a piece of evidence can withdraw of it without being an objector.

    That is the statement, its key and itself, and the suites that a specification declares.
    """
    nodes = evidence_nodes(item, signer)
    if isinstance(item.predicate, Specification):
        nodes += suite_nodes(suite.digest.sha256 for suite in item.predicate.envelope.suites)
    return tuple(OwnNode(signer.authority, node) for node in nodes)


def base_nodes(provider: str, base: str) -> tuple[LineageNode, LineageNode]:
    """Return the nodes of a base model: as a base model, and as a model."""
    return named_nodes(f"{provider}/{base}")


def named_nodes(name: str) -> tuple[LineageNode, LineageNode]:
    """Return the nodes of ``provider/id``, which may be a base model or an adapted one."""
    return LineageNode(WithdrawalKind.BASE_MODEL, name), LineageNode(WithdrawalKind.MODEL, name)


def suite_nodes(digests: Iterable[str]) -> tuple[LineageNode, ...]:
    """Return the nodes of suites, which are withdrawn as evaluations."""
    return tuple(LineageNode(WithdrawalKind.EVALUATION, digest) for digest in digests)


def claim_nodes(item: Evidence[Manifest]) -> tuple[LineageNode, ...]:
    """Return everything that a manifest names, without its signers and its parents."""
    manifest = item.predicate
    model = manifest.model
    outputs = (output.digest.sha256 for output in manifest.evaluations)
    suites = (suite.digest.sha256 for suite in manifest.envelope.suites)
    nodes = [
        statement_node(item),
        LineageNode(WithdrawalKind.MODEL, f"{model.provider}/{model.id}"),
        *base_nodes(model.provider, model.base),
        *(node for name in manifest.run.models or () for node in named_nodes(name)),
        LineageNode(WithdrawalKind.RUN, manifest.run.id),
        *(LineageNode(WithdrawalKind.CORPUS, corpus.digest.sha256) for corpus in manifest.corpora),
        *suite_nodes(grader.digest.sha256 for grader in manifest.run.graders or ()),
        *suite_nodes(outputs),
        *suite_nodes(suites),
    ]
    if manifest.specification is not None:
        digest = manifest.specification.sha256
        nodes.append(LineageNode(WithdrawalKind.SPECIFICATION, digest))
    return tuple(nodes)


def environment_nodes(item: Evidence[Environment], signer: Signer) -> tuple[AnyNode, ...]:
    """Return the nodes of an environment, by name and by its declaration."""
    name = LineageNode(WithdrawalKind.ENVIRONMENT, item.statement.subject.name)
    return (name, *evidence_nodes(item, signer))


def specification_nodes(item: Evidence[Specification], signer: Signer) -> tuple[AnyNode, ...]:
    """Return the nodes of a specification and of the suites that it declares."""
    suites = (suite.digest.sha256 for suite in item.predicate.envelope.suites)
    return (*evidence_nodes(item, signer), *suite_nodes(suites))
