"""Facts: OPA's ``input``, and the only thing a policy ever sees.

Every value here was proven by the structural predicate before it was written down: it comes from
the request's bytes or from verified evidence, never from a header a client chose. The JSON Schema
under ``policies/schemas/`` is generated from these types, so a policy that reads a field that does
not exist fails ``opa check``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cache
from typing import Any

from sidecar.core.assessment import Assessment, Chain, Deployed, RolePass, SuitePass, Waived
from sidecar.core.call import Call, Credential
from sidecar.core.evidence import Environment, Evidence, Manifest, Signer
from sidecar.core.window import rfc3339


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """What was asked for.

    Attributes:
        provider: The provider the route leads to, e.g. ``openai``.
        operation: A name of the operation table, e.g. ``chat.completions``.
        models: Every model id the request names, in order of appearance, without repeats; empty
            only for a modelless operation.
        run: Those of ``models`` that it would run.
        tuned: Those of ``models`` that it would tune; one that also grades the outcome is in both.
        specification: Digest of the specification under which it would tune them, else null.
        modelless: Whether the operation can reach no model at all, such as reading a file back.
        sandbox: Whether an evaluator calls models that need not be active yet; their suites and
            approvals are then empty.
        stream: Whether the reply is asked for as a stream.
        modalities: Output modalities asked for, e.g. ``text``, ``audio``; sorted.
        tool_types: Types of the tools offered to the model, e.g. ``function``; sorted.
    """

    provider: str
    operation: str
    models: tuple[str, ...]
    run: tuple[str, ...]
    tuned: tuple[str, ...]
    specification: str | None
    modelless: bool
    sandbox: bool
    stream: bool
    modalities: tuple[str, ...]
    tool_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CredentialFacts:
    """How the environment proved itself: ``jwt-svid`` or ``x509-svid``; ``expires`` is RFC 3339."""

    kind: str
    expires: str


@dataclass(frozen=True, slots=True)
class EnvironmentFacts:
    """The environment as its customer declared it.

    ``id`` is a SPIFFE ID (SPIFFE-ID §2); ``owner`` the authority that signed the declaration's
    owner field; ``jurisdictions`` is never empty.
    """

    id: str
    trust_domain: str
    jurisdictions: tuple[str, ...]
    sector: str
    purpose: str
    risk_class: str
    owner: str
    declarations: dict[str, str]
    credential: CredentialFacts


@dataclass(frozen=True, slots=True)
class CorpusFacts:
    """One corpus: ``digest`` is lower-case hex SHA-256, the numbers are counts.

    ``irregular`` lines are no JSON object of their own; the provider made the model with them.
    """

    role: str
    name: str
    digest: str
    bytes: int
    records: int
    classes: tuple[str, ...]
    irregular: int


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """A document the producer bound to the manifest, e.g. ``technical-documentation``."""

    kind: str
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class EvaluationFacts:
    """One evaluation output of the training run itself, with its metrics by name."""

    name: str
    digest: str
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class SuiteFacts:
    """One suite of the declared envelope with the result that satisfied it.

    ``kind`` is ``adversarial``, ``regression`` or ``compliance``; ``jurisdiction`` is null unless
    the suite is a compliance suite; ``performed`` is the RFC 3339 start of the result's window.
    """

    kind: str
    jurisdiction: str | None
    name: str
    threshold: float
    score: float
    evaluator: str
    performed: str


@dataclass(frozen=True, slots=True)
class ApprovalFacts:
    """One approval that the assessment relied on.

    ``of_record`` is true where the operator lets another organisation speak for a provider that
    does not sign for itself yet.
    """

    role: str
    authority: str
    of_record: bool
    jurisdictions: tuple[str, ...]
    conditions: tuple[str, ...]
    declarations: dict[str, str]
    not_after: str


@dataclass(frozen=True, slots=True)
class WindowFacts:
    """A half-open interval [not_before, not_after), both RFC 3339."""

    not_before: str
    not_after: str


@dataclass(frozen=True, slots=True)
class AdaptationFacts:
    """One adapted model with everything its evidence proved.

    ``model`` is what the request names, which is a deployment where ``deployments`` has it;
    ``specification`` is the digest of the one it was tuned under, if its manifest names one. A base
    model that the environment lists un-adapted has no entry here.
    """

    model: str
    base: str
    parent: str | None
    manifest: str
    specification: str | None
    producer: str
    method: str
    corpora: tuple[CorpusFacts, ...]
    hyperparameters: dict[str, Any]
    evaluations: tuple[EvaluationFacts, ...]
    suites: tuple[SuiteFacts, ...]
    approvals: tuple[ApprovalFacts, ...]
    documents: tuple[DocumentFacts, ...]
    declarations: dict[str, str]
    window: WindowFacts


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """The model behind one of ``request.models``: ``name`` is bound to run ``model``.

    ``authority`` is the provider that says so, ``of_record`` as in an approval; ``not_after`` is
    when that ceases to hold. ``declarations`` are what its API states of the deployment: for Azure
    ``sku``, e.g. ``GlobalStandard``, and ``processing``: ``global``, ``data-zone`` or ``region``.
    """

    name: str
    model: str
    authority: str
    of_record: bool
    not_after: str
    declarations: dict[str, str]


@dataclass(frozen=True, slots=True)
class WaiverFacts:
    """A regulator's waiver of one rule, in force here and now.

    ``subject`` is the environment's SPIFFE ID, or the model it was given for as the request names
    it.
    """

    rule: str
    jurisdiction: str
    subject: str
    authority: str
    reason: str
    not_after: str


@dataclass(frozen=True, slots=True)
class Facts:
    """The whole input. ``now`` is the decision's one reference time; ``nonce`` is echoed."""

    request: RequestFacts
    environment: EnvironmentFacts
    adaptations: tuple[AdaptationFacts, ...]
    deployments: tuple[DeploymentFacts, ...]
    waivers: tuple[WaiverFacts, ...]
    now: str
    nonce: str


def to_input(facts: Facts) -> dict[str, Any]:
    """Return ``facts`` as the JSON object that OPA gets as ``input``; to be read only."""
    return {field.name: plain(getattr(facts, field.name)) for field in dataclasses.fields(facts)}


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON is any value
    """Return a part of the facts as a JSON value; ``dataclasses.asdict`` copies every leaf."""
    names = _names(value.__class__)
    if names is not None:
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple):
        return tuple([plain(item) for item in value])
    return value


@cache
def _names(kind: type) -> tuple[str, ...] | None:
    """Return the field names of a dataclass; ``None`` for any other type."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple(field.name for field in dataclasses.fields(kind))


def prove(
    call: Call, credential: Credential, assessment: Assessment, now: str, nonce: str
) -> Facts:
    """Write down what an admissible assessment proved.

    Raises:
        ValueError: The assessment is not admissible; there is nothing to tell a policy.
    """
    environment = assessment.environment
    if not assessment.admissible or environment is None:
        raise ValueError("only an admissible assessment yields facts")
    declared, under = environment.predicate, assessment.specification
    return Facts(
        request=request_facts(call, None if under is None else under.specification.digest),
        environment=EnvironmentFacts(
            id=environment.statement.subject.name,
            trust_domain=credential.trust_domain,
            jurisdictions=assessment.jurisdictions,
            sector=declared.sector,
            purpose=declared.purpose,
            risk_class=declared.risk_class,
            owner=declared.owner,
            declarations=declared.declarations,
            credential=credential_facts(credential),
        ),
        adaptations=tuple(
            _adaptation(chain, chain.manifest, chain.producer)
            for chain in assessment.chains
            if chain.manifest is not None and chain.producer is not None
        ),
        deployments=tuple(
            _deployment(chain.model, chain.deployed)
            for chain in assessment.chains
            if chain.deployed is not None
        ),
        waivers=tuple(
            _waiver(entry, name)
            for entry in assessment.waivers
            for name in _names_of(entry, environment, assessment.chains)
        ),
        now=now,
        nonce=nonce,
    )


def request_facts(call: Call, specification: str | None) -> RequestFacts:
    """Return what was asked for, under the specification with this digest if it is to tune."""
    return RequestFacts(
        provider=call.provider,
        operation=call.operation,
        models=call.named,
        run=call.models,
        tuned=call.tuned,
        specification=specification,
        modelless=call.modelless,
        sandbox=call.sandbox,
        stream=call.stream,
        modalities=call.modalities,
        tool_types=call.tool_types,
    )


def credential_facts(credential: Credential) -> CredentialFacts:
    """Return how the environment proved itself."""
    return CredentialFacts(credential.kind, rfc3339(credential.expires))


def _deployment(name: str, entry: Deployed) -> DeploymentFacts:
    bound, until = entry.binding.predicate, rfc3339(entry.until)
    spoken = entry.signer.authority, entry.of_record
    return DeploymentFacts(name, bound.model, *spoken, until, bound.declarations)


def _names_of(
    entry: Waived, environment: Evidence[Environment], chains: tuple[Chain, ...]
) -> tuple[str, ...]:
    """Return the names of a waiver's subject in this request, which policy rules use."""
    about, subject = entry.waiver.statement.subject, environment.statement.subject
    if about == subject:
        return (subject.name,)
    manifest = about.digest.sha256
    return tuple(c.model for c in chains if c.manifest and c.manifest.digest == manifest)


def _waiver(entry: Waived, subject: str) -> WaiverFacts:
    waiver = entry.waiver.predicate
    return WaiverFacts(
        rule=waiver.rule,
        jurisdiction=waiver.jurisdiction,
        subject=subject,
        authority=entry.signer.authority,
        reason=waiver.reason,
        not_after=rfc3339(waiver.window.not_after),
    )


def _adaptation(chain: Chain, item: Evidence[Manifest], producer: Signer) -> AdaptationFacts:
    manifest = item.predicate
    return AdaptationFacts(
        model=chain.model,
        base=manifest.model.base,
        parent=None if manifest.model.parent is None else manifest.model.parent.sha256,
        manifest=item.digest,
        specification=None if manifest.specification is None else manifest.specification.sha256,
        producer=producer.authority,
        method=manifest.run.method,
        corpora=tuple(
            CorpusFacts(*about, c.bytes, c.records, c.classes, c.irregular or 0)
            for c in manifest.corpora
            for about in [(c.role, c.name, c.digest.sha256)]
        ),
        hyperparameters=manifest.run.hyperparameters,
        evaluations=tuple(
            EvaluationFacts(e.name, e.digest.sha256, e.metrics) for e in manifest.evaluations
        ),
        suites=tuple(_suite(entry) for entry in chain.suites),
        approvals=tuple(_approval(entry) for entry in chain.approvals),
        documents=tuple(DocumentFacts(d.kind, d.name, d.digest.sha256) for d in manifest.documents),
        declarations=manifest.declarations,
        window=WindowFacts(rfc3339(manifest.window.not_before), rfc3339(manifest.window.not_after)),
    )


def _suite(entry: SuitePass) -> SuiteFacts:
    return SuiteFacts(
        kind=entry.suite.kind,
        jurisdiction=entry.suite.jurisdiction,
        name=entry.suite.name,
        threshold=entry.suite.threshold,
        score=entry.score,
        evaluator=entry.signer.authority,
        performed=rfc3339(entry.result.predicate.window.not_before),
    )


def _approval(entry: RolePass) -> ApprovalFacts:
    approval = entry.approval.predicate
    return ApprovalFacts(
        role=entry.role,
        authority=entry.signer.authority,
        of_record=entry.of_record,
        jurisdictions=approval.jurisdictions,
        conditions=approval.conditions,
        declarations=approval.declarations,
        not_after=rfc3339(approval.window.not_after),
    )
