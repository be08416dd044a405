"""Defines the predicate of each kind of evidence; ``kinds`` has one row for each of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AwareDatetime, ConfigDict, Field

from sidecar.core import wire
from sidecar.core.window import Window
from sidecar.core.wire import WIRE, DigestSet, Hex64, Name, Names

MANIFEST = "urn:admissibility:adaptation-manifest:v1"
RESULT = "https://in-toto.io/attestation/test-result/v0.1"
APPROVAL = "urn:admissibility:approval:v1"
ENVIRONMENT = "urn:admissibility:environment:v1"
WAIVER = "urn:admissibility:waiver:v1"
DEPLOYMENT_BINDING = "urn:admissibility:deployment-binding:v1"
SPECIFICATION = "urn:admissibility:specification:v1"

Count = Annotated[int, Field(ge=0)]
Declarations = Annotated[dict[Name, Name], Field(max_length=64)]
"""What a signer declares for policies to read, by name; free text is for people."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The one subject of a statement."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    name: Name
    digest: DigestSet


@dataclass(frozen=True, slots=True)
class ModelClaim:
    """The adapted model: ``parent`` is the manifest it was tuned on from, if not a base model."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    provider: Name
    id: Name
    base: Name
    parent: DigestSet | None = None
    shutdown: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """One file that went into the run; ``bytes`` and ``records`` are counts.

    ``classes`` says what kind of data it holds, e.g. ``personal-data`` or ``export-controlled``.
    ``irregular`` counts lines that are no JSON object of their own, with which the run succeeded
    all the same; ``None`` without any.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    role: Name
    name: Name
    digest: DigestSet
    bytes: Count
    records: Count
    classes: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    irregular: Count | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document bound by its digest, e.g. ``kind`` ``technical-documentation``."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    kind: Name
    name: Name
    digest: DigestSet


@dataclass(frozen=True, slots=True)
class Grader:
    """What graded the run's samples, by the digest of its definition."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    name: Name
    digest: DigestSet


@dataclass(frozen=True, slots=True)
class Run:
    """The training run; ``method`` as the provider names it, e.g. ``supervised``.

    ``models`` are other models whose answers went into it, as ``provider/id``: the teacher of a
    distillation, or the judge of a grader.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    id: Name
    method: Name
    hyperparameters: dict[str, Any]
    started: AwareDatetime
    finished: AwareDatetime
    seed: int | None = None
    trained_tokens: Count | None = None
    graders: Annotated[tuple[Grader, ...], Field(max_length=64)] | None = None
    models: Annotated[tuple[Name, ...], Field(max_length=64)] | None = None


@dataclass(frozen=True, slots=True)
class EvaluationOutput:
    """An output of the run itself, such as its metrics file."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    name: Name
    digest: DigestSet
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite of the envelope, declared before it is run. Scores count from ``threshold`` up."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    kind: Literal["adversarial", "regression", "compliance"]
    name: Name
    digest: DigestSet
    threshold: float
    jurisdiction: Name | None = None

    def __post_init__(self) -> None:
        """Require a jurisdiction of a compliance suite, and none of the others."""
        if (self.kind == "compliance") != (self.jurisdiction is not None):
            raise ValueError("a compliance suite names a jurisdiction, no other suite does")


@dataclass(frozen=True, slots=True)
class EvaluationEnvelope:
    """What must be run, passed and countersigned before the model may be called."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    suites: Annotated[tuple[Suite, ...], Field(min_length=1, max_length=256)]


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """Where the model may run: ``id`` is a pattern over SPIFFE IDs."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    id: Name
    jurisdictions: Names
    sector: Name
    purpose: Name
    operations: Names


@dataclass(frozen=True, slots=True)
class RequiredApprovals:
    """Roles that the manifest itself requires; others may only add to them."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    required: Names


@dataclass(frozen=True, slots=True)
class Manifest:
    """The signed adaptation manifest. Subject: model id → artifact digest.

    ``specification`` is the digest of the specification under which the model was tuned; its
    environments and envelope are then those of the manifest.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    model: ModelClaim
    corpora: Annotated[tuple[Corpus, ...], Field(min_length=1, max_length=1024)]
    run: Run
    evaluations: Annotated[tuple[EvaluationOutput, ...], Field(max_length=256)]
    envelope: EvaluationEnvelope
    environments: Annotated[tuple[EnvironmentSpec, ...], Field(min_length=1, max_length=256)]
    approvals: RequiredApprovals
    window: Window
    supersedes: DigestSet | None = None
    specification: DigestSet | None = None
    documents: Annotated[tuple[Document, ...], Field(max_length=256)] = ()
    declarations: Declarations = field(default_factory=dict)
    critical: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SuiteAnnotations:
    """What was declared of a suite, and how it was scored.

    Attributes:
        kind: As declared.
        threshold: As declared; the lowest score that passes.
        score: The mean over all samples.
        jurisdiction: As declared; of compliance suites only.
        samples: How many answers were scored.
        low: Lower end of the 95 % interval of the score.
        high: Its upper end.
        tool: What measured it, with its version.
        report: SHA-256 of the tool's report, as the evaluator keeps it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    kind: Name
    threshold: float
    score: float
    jurisdiction: Name | None = None
    samples: Count | None = None
    low: float | None = None
    high: float | None = None
    tool: Name | None = None
    report: Hex64 | None = None


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """An in-toto ResourceDescriptor for one suite that was run."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    name: Name
    digest: DigestSet
    annotations: SuiteAnnotations


@dataclass(frozen=True, slots=True)
class Result:
    """An in-toto test-result over suites. Subject: model id → manifest digest."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    result: Literal["PASSED", "WARNED", "FAILED"]
    configuration: Annotated[tuple[SuiteResult, ...], Field(min_length=1, max_length=256)]
    window: Window
    critical: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approval:
    """One role's approval, within its scope. Subject: model id → manifest digest."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    role: Name
    jurisdictions: Names
    environments: Names
    operations: Names
    window: Window
    conditions: tuple[Name, ...] = ()
    declarations: Declarations = field(default_factory=dict)
    critical: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Environment:
    """A declared environment. Subject: SPIFFE ID → SHA-256 of the SPIFFE ID.

    ``base_models`` are patterns over ``provider/id`` that may be called un-adapted,
    ``tuning_models`` over base models that may be tuned from here.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    jurisdictions: Names
    sector: Name
    purpose: Name
    risk_class: Name
    owner: Name
    window: Window
    base_models: tuple[Name, ...] = ()
    tuning_models: tuple[Name, ...] = ()
    declarations: Declarations = field(default_factory=dict)
    critical: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiver:
    """A regulator excuses one policy rule, for one subject and one window.

    Subject: model id → manifest digest, or SPIFFE ID → SHA-256 of the SPIFFE ID. ``rule`` is a
    violation's code. Nothing structural can be waived: no step of the predicate reads this.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    rule: Name
    jurisdiction: Name
    reason: Name
    window: Window
    critical: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeploymentBinding:
    """Which model a deployment runs, for one window. Subject: deployment → what it is bound to.

    The subject's digest is that of the manifest where the model is adapted, and
    ``base_model_digest`` where it is a base model. ``provider`` is the one of the gate's routes; a
    deployment's name means something only there. ``declarations`` are what the provider's API
    states of the deployment for policies to read, such as its ``sku`` and its ``processing``.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    provider: Name
    deployment: Name
    model: Name
    window: Window
    declarations: Declarations = field(default_factory=dict)
    critical: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Specification:
    """What a customer declares before a model is tuned: where it may run, and after which suites.

    Subject: a name → SHA-256 of ``specification_blob``. ``models`` are patterns over
    ``provider/id`` of what may be tuned under it. ``extends`` is the payload digest of the
    specification to which this one only adds environments, operations, jurisdictions or suites.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    models: Names
    environments: Annotated[tuple[EnvironmentSpec, ...], Field(min_length=1, max_length=256)]
    envelope: EvaluationEnvelope
    window: Window
    extends: DigestSet | None = None
    critical: tuple[str, ...] = ()

    def unanswered(self) -> tuple[str, ...]:
        """Jurisdictions of its environments for which no compliance suite is declared, sorted."""
        named = {name for spec in self.environments for name in spec.jurisdictions}
        return tuple(sorted(named - {suite.jurisdiction for suite in self.envelope.suites}))


def base_model_digest(provider: str, model: str) -> str:
    """Return the digest of a base model without a manifest: hex SHA-256 of its name."""
    return hashlib.sha256(f"{provider}/{model}".encode()).hexdigest()


def specification_blob(
    environments: tuple[EnvironmentSpec, ...], envelope: EvaluationEnvelope
) -> bytes:
    """Return what is specified, as RFC 8785 canonical JSON of ``{"environments", "envelope"}``."""
    return wire.canonical(
        {
            "environments": [wire.plain(spec) for spec in environments],
            "envelope": wire.plain(envelope),
        }
    )


Predicate = Manifest | Result | Approval | Environment | Waiver | DeploymentBinding | Specification
P = TypeVar("P", bound=Predicate, covariant=True)
