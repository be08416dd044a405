"""Describes each kind of evidence in one row: the only place where kinds are enumerated.

Parsing, the indexes of the trust state, the cascade and the commands all read this table, so that
a new kind is one row here and its dataclass in ``predicates``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sidecar.core import predicates
from sidecar.core.documents import WithdrawalKind
from sidecar.core.grants import CUSTOMER, EVALUATOR, PRODUCER, PROVIDER, REGULATOR
from sidecar.core.reasons import EvidenceError
from sidecar.core.spiffe_id import check_spiffe_id

K = TypeVar("K", bound=predicates.Predicate)


@dataclass(frozen=True, slots=True)
class EvidenceKind(Generic[K]):
    """One kind of evidence.

    Attributes:
        urn: Its predicate type, exactly.
        predicate: The dataclass of its predicate.
        role: The role a signer must be granted; ``None`` where the predicate itself names it.
        noun: What the commands call it.
        withdrawal: The kind under which its digest is withdrawn.
        index: The key under which the trust state finds it, from payload digest and statement.
        check_subject: Raises ``EvidenceError`` where the subject contradicts the predicate.
        matter: What a statement is about, apart from its author: withdrawing a newer one withdraws
            its author's older ones on the same matter (law 3). ``None`` where each is its own.
        table: The field of ``TrustState`` that holds the kind.
        index_of: The index key of all statements on a matter; ``None`` as ``matter``.
    """

    urn: str
    predicate: type[K]
    role: str | None
    noun: str
    withdrawal: WithdrawalKind
    index: Callable[[str, predicates.Subject, K], Hashable]
    check_subject: Callable[[predicates.Subject, K], None]
    table: str
    matter: Callable[[predicates.Subject, K], tuple[object, ...]] | None = None
    index_of: Callable[[Sequence[Any]], Hashable] | None = None


def by_subject_digest(_: str, subject: predicates.Subject, __: object) -> str:
    """Index evidence by the digest of what it is about."""
    return subject.digest.sha256


def by_own_digest(digest: str, _: predicates.Subject, __: object) -> str:
    """Index evidence by its own payload digest."""
    return digest


def any_subject(_: predicates.Subject, __: object) -> None:
    """Accept any subject: nothing in the predicate repeats it."""


def _check_manifest(subject: predicates.Subject, predicate: predicates.Manifest) -> None:
    if subject.name != predicate.model.id:
        raise EvidenceError("manifest: the subject is not the model it describes")


def _check_environment(subject: predicates.Subject, _: predicates.Environment) -> None:
    if hashlib.sha256(subject.name.encode()).hexdigest() != subject.digest.sha256:
        raise EvidenceError("environment: the subject's digest is not that of its SPIFFE ID")
    check_spiffe_id(subject.name)


def _check_binding(subject: predicates.Subject, predicate: predicates.DeploymentBinding) -> None:
    if subject.name != predicate.deployment:
        raise EvidenceError("deployment binding: the subject is not the deployment it binds")


def _check_specification(subject: predicates.Subject, predicate: predicates.Specification) -> None:
    blob = predicates.specification_blob(predicate.environments, predicate.envelope)
    if hashlib.sha256(blob).hexdigest() != subject.digest.sha256:
        raise EvidenceError("specification: the subject's digest is not that of its content")


MANIFESTS = EvidenceKind(
    urn=predicates.MANIFEST,
    predicate=predicates.Manifest,
    role=PRODUCER,
    noun="manifest",
    withdrawal=WithdrawalKind.MANIFEST,
    index=lambda _, __, manifest: (manifest.model.provider, manifest.model.id),
    check_subject=_check_manifest,
    table="manifests",
)
RESULTS = EvidenceKind(
    urn=predicates.RESULT,
    predicate=predicates.Result,
    role=EVALUATOR,
    noun="result",
    withdrawal=WithdrawalKind.RESULT,
    index=by_subject_digest,
    check_subject=any_subject,
    table="results",
    matter=lambda subject, result: (
        subject.digest.sha256,
        sorted({entry.digest.sha256 for entry in result.configuration}),
    ),
    index_of=lambda parts: str(parts[0]),
)
APPROVALS = EvidenceKind(
    urn=predicates.APPROVAL,
    predicate=predicates.Approval,
    role=None,
    noun="approval",
    withdrawal=WithdrawalKind.APPROVAL,
    index=by_subject_digest,
    check_subject=any_subject,
    table="approvals",
    matter=lambda subject, approval: (subject.digest.sha256, approval.role),
    index_of=lambda parts: str(parts[0]),
)
ENVIRONMENTS = EvidenceKind(
    urn=predicates.ENVIRONMENT,
    predicate=predicates.Environment,
    role=CUSTOMER,
    noun="environment",
    withdrawal=WithdrawalKind.ENVIRONMENT,
    index=lambda _, subject, __: subject.name,
    check_subject=_check_environment,
    table="environments",
    matter=lambda subject, _: (subject.name,),
    index_of=lambda parts: str(parts[0]),
)
WAIVERS = EvidenceKind(
    urn=predicates.WAIVER,
    predicate=predicates.Waiver,
    role=REGULATOR,
    noun="waiver",
    withdrawal=WithdrawalKind.WAIVER,
    index=by_subject_digest,
    check_subject=any_subject,
    table="waivers",
)
DEPLOYMENT_BINDINGS = EvidenceKind(
    urn=predicates.DEPLOYMENT_BINDING,
    predicate=predicates.DeploymentBinding,
    role=PROVIDER,
    noun="deployment",
    withdrawal=WithdrawalKind.DEPLOYMENT_BINDING,
    index=lambda _, __, binding: (binding.provider, binding.deployment),
    check_subject=_check_binding,
    table="bindings",
    matter=lambda _, binding: (binding.provider, binding.deployment),
    index_of=lambda parts: (str(parts[0]), str(parts[1])),
)
SPECIFICATIONS = EvidenceKind(
    urn=predicates.SPECIFICATION,
    predicate=predicates.Specification,
    role=CUSTOMER,
    noun="specification",
    withdrawal=WithdrawalKind.SPECIFICATION,
    index=by_own_digest,
    check_subject=_check_specification,
    table="specifications",
)

KINDS: tuple[EvidenceKind[Any], ...] = (
    MANIFESTS,
    RESULTS,
    APPROVALS,
    ENVIRONMENTS,
    WAIVERS,
    DEPLOYMENT_BINDINGS,
    SPECIFICATIONS,
)
"""Every kind; a test compares it with the members of ``Predicate``."""

BY_URN: dict[str, EvidenceKind[Any]] = {kind.urn: kind for kind in KINDS}
BY_NOUN: dict[str, EvidenceKind[Any]] = {kind.noun: kind for kind in KINDS}
_BY_PREDICATE: dict[type, EvidenceKind[Any]] = {kind.predicate: kind for kind in KINDS}


def kind_of(predicate: predicates.Predicate) -> EvidenceKind[Any]:
    """Return the row of a predicate; ``KeyError`` for a type that has none."""
    return _BY_PREDICATE[type(predicate)]
