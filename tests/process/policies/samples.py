"""Facts as the gate would state them: one admissible call, and a way to change one thing in it."""

from __future__ import annotations

import dataclasses
from typing import Any

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

NOW = "2026-09-01T12:00:00Z"
MODEL = "ft:gpt-4o-2024-08-06:acme:support-v3:abc123"


def sample_facts(**changes: Any) -> Facts:
    """Facts of an admissible call in a EU environment; ``changes`` replace top-level fields.

    They are admissible in the other jurisdictions, sectors and risk classes too.
    """
    facts = Facts(
        request=RequestFacts(
            provider="openai",
            operation="chat.completions",
            models=(MODEL,),
            run=(MODEL,),
            tuned=(),
            specification=None,
            modelless=False,
            sandbox=False,
            stream=False,
            modalities=("text",),
            tool_types=("function",),
        ),
        environment=sample_environment(),
        adaptations=(sample_adaptation(),),
        deployments=(),
        waivers=(),
        now=NOW,
        nonce="5f0c6a",
    )
    return dataclasses.replace(facts, **changes)


def sample_environment(**changes: Any) -> EnvironmentFacts:
    """The environment of the sample; ``changes`` replace its fields."""
    environment = EnvironmentFacts(
        id="spiffe://acme.example/support",
        trust_domain="acme.example",
        jurisdictions=("eu",),
        sector="finance",
        purpose="customer-support",
        risk_class="limited",
        owner="acme-model-risk",
        declarations={
            "automated-decisions": "none",
            "device-function": "no",
            "human-oversight": "support desk lead",
            "ict-register-reference": "RoI-0042",
            "impact-level": "IL5",
            "log-retention-days": "365",
            "monitoring-plan": "MP-7",
            "phi": "no",
            "weapon-function": "no",
        },
        credential=CredentialFacts(kind="jwt-svid", expires="2026-09-01T12:30:00Z"),
    )
    return dataclasses.replace(environment, **changes)


def sample_adaptation(**changes: Any) -> AdaptationFacts:
    """The one adaptation of the sample; ``changes`` replace its fields."""
    adaptation = AdaptationFacts(
        model=MODEL,
        base="gpt-4o-2024-08-06",
        parent=None,
        manifest="a" * 64,
        specification=None,
        producer="acme-ml",
        method="supervised",
        corpora=(
            CorpusFacts("training", "train.jsonl", "b" * 64, 9000, 30, ("synthetic",), 0),
            CorpusFacts("validation", "valid.jsonl", "c" * 64, 3000, 10, ("synthetic",), 0),
        ),
        hyperparameters={"n_epochs": 3},
        evaluations=(EvaluationFacts("final", "d" * 64, {"valid_loss": 1.1}),),
        suites=(
            sample_suite("adversarial"),
            sample_suite("regression"),
            sample_suite("compliance", "eu"),
            sample_suite("compliance", "us"),
        ),
        approvals=tuple(sample_approval(role) for role in ("provider", "customer", "regulator")),
        documents=tuple(
            DocumentFacts(kind, f"{kind}.pdf", "e" * 64)
            for kind in (
                "technical-documentation",
                "instructions-for-use",
                "responsible-ai-assessment",
            )
        ),
        declarations={
            "gpai-modification": "minor",
            "intended-purpose": "customer-support",
            "substantial-modification": "no",
        },
        window=WindowFacts("2026-08-01T00:00:00Z", "2027-08-01T00:00:00Z"),
    )
    return dataclasses.replace(adaptation, **changes)


def sample_suite(kind: str, jurisdiction: str | None = None) -> SuiteFacts:
    """A suite that passed twelve days before the sample's reference time."""
    return SuiteFacts(
        kind=kind,
        jurisdiction=jurisdiction,
        name=kind,
        threshold=0.9,
        results=(ResultFacts("2026-08-20T12:00:00Z", 0.95, "assay"),),
    )


def sample_approval(role: str) -> ApprovalFacts:
    """An approval in force for both jurisdictions, with what a customer declares by it."""
    return ApprovalFacts(
        role=role,
        authority=f"the-{role}",
        of_record=role == "provider",
        jurisdictions=("eu", "us"),
        conditions=("log-calls",),
        declarations={
            "effective-challenge": "EC-1",
            "independent-validation": "IV-1",
            "model-risk-sign-off": "MR-1",
            "risk-response": "mitigate, accept",
        },
        not_after="2027-08-01T00:00:00Z",
    )


def sample_deployment(**changes: Any) -> DeploymentFacts:
    """The sample's model as a deployment of its own name; ``changes`` replace its fields."""
    deployment = DeploymentFacts(
        name=MODEL,
        model="ft:gpt-4o-2024-08-06:acme:support-v3:def456",
        authority="the-provider",
        of_record=True,
        not_after="2026-09-02T12:00:00Z",
        declarations={"sku": "Standard", "processing": "region"},
    )
    return dataclasses.replace(deployment, **changes)


def sample_waiver(**changes: Any) -> WaiverFacts:
    """A regulator's waiver of the EU's register rule; ``changes`` replace its fields."""
    waiver = WaiverFacts(
        rule="eu-finance.dora_register",
        jurisdiction="eu",
        subject="spiffe://acme.example/support",
        authority="the-regulator",
        reason="The register is being moved.",
        not_after="2027-01-01T00:00:00Z",
    )
    return dataclasses.replace(waiver, **changes)
