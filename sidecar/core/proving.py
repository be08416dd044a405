"""Proves facts: writes down what an admissible assessment rests on, for the policies.

Evidence that counts together is shown together. What cannot be (two declarations of an environment,
two manifests of a model) makes several assessments, and policies may be asked about each: then a
file that is lost takes something away from what they are shown, and adds nothing (law 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby, islice

from sidecar.core.assess import admissible
from sidecar.core.assessment import Assessment, Chain, Counting, Deployed, SuitePass, Waived
from sidecar.core.call import Call, Credential
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.facts import (
    AdaptationFacts,
    ApprovalFacts,
    CorpusFacts,
    CredentialFacts,
    DeploymentFacts,
    DocumentFacts,
    EnvironmentFacts,
    EvaluationFacts,
    Facts,
    RequestFacts,
    ResultFacts,
    SuiteFacts,
    WaiverFacts,
    WindowFacts,
)
from sidecar.core.predicates import Environment, Manifest, Suite
from sidecar.core.shown_evidence import newest_of_each
from sidecar.core.snapshot import TrustState
from sidecar.core.window import rfc3339

MAX_PROOFS = 16
"""Most choices of evidence for one call that policies are asked about."""

MAX_PROVED = 64
"""Most choices that are looked at for them; most may show policies the same."""


def proofs(
    call: Call, credential: Credential, state: TrustState, now: datetime
) -> Iterator[Assessment]:
    """Yield the admissible assessments of a call whose facts differ, the preferred one first.

    A call is admitted if the policies allow one of them, and denied as they deny the first. At most
    ``MAX_PROOFS`` are yielded, of the first ``MAX_PROVED``.
    """
    return islice(_distinct(call, credential, state, now), MAX_PROOFS)


def _distinct(
    call: Call, credential: Credential, state: TrustState, now: datetime
) -> Iterator[Assessment]:
    known: list[Facts] = []
    for assessment in islice(admissible(call, credential, state, now), MAX_PROVED):
        facts = prove(call, credential, assessment, "", "")
        if facts not in known:
            known.append(facts)
            yield assessment


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
            for entry in newest_of_each(assessment.waivers, _excusing, _excused_from)
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
    # Not ``entry.until``: that is earlier where another binding follows, and later if it is lost.
    bound, until = entry.binding.predicate, rfc3339(entry.binding.predicate.window.not_after)
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


def _excusing(entry: Waived) -> str:
    return entry.signer.authority


def _excused_from(entry: Waived) -> str:
    return rfc3339(entry.waiver.predicate.window.not_before)


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
        suites=tuple(
            _suite(entry.suite, results)
            for entry, results in zip(chain.suites, chain.results, strict=True)
        ),
        approvals=_approvals(chain.counting),
        documents=tuple(DocumentFacts(d.kind, d.name, d.digest.sha256) for d in manifest.documents),
        declarations=manifest.declarations,
        window=WindowFacts(rfc3339(manifest.window.not_before), rfc3339(manifest.window.not_after)),
    )


def _suite(suite: Suite, results: tuple[SuitePass, ...]) -> SuiteFacts:
    shown = {
        ResultFacts(
            performed=rfc3339(entry.result.predicate.window.not_before),
            score=entry.score,
            evaluator=entry.signer.authority,
        )
        for entry in results
    }
    return SuiteFacts(
        kind=suite.kind,
        jurisdiction=suite.jurisdiction,
        name=suite.name,
        threshold=suite.threshold,
        results=newest_of_each(sorted(shown), _evaluator, _performed),
    )


def _evaluator(result: ResultFacts) -> str:
    return result.evaluator


def _performed(result: ResultFacts) -> str:
    return result.performed


def _approvals(counting: tuple[Counting, ...]) -> tuple[ApprovalFacts, ...]:
    """Return the approvals of each role; ``counting`` is in the order of roles."""
    return tuple(
        _approval(entry)
        for _, of_role in groupby(counting, lambda entry: entry.role)
        for entry in newest_of_each(tuple(of_role), _approver, _approved)
    )


def _approver(entry: Counting) -> str:
    return entry.authority


def _approved(entry: Counting) -> str:
    return rfc3339(entry.approval.predicate.window.not_before)


def _approval(entry: Counting) -> ApprovalFacts:
    approval = entry.approval.predicate
    return ApprovalFacts(
        role=entry.role,
        authority=entry.authority,
        of_record=entry.of_record,
        jurisdictions=entry.jurisdictions,
        conditions=approval.conditions,
        declarations=approval.declarations,
        not_after=rfc3339(approval.window.not_after),
    )
