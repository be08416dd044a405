"""Evidence: the five predicates of an in-toto Statement that the gate understands.

A ``Statement`` is what an envelope's payload says; an ``Evidence`` is a statement together with
the keys that really signed it. The predicate type decides which of the dataclasses below the
predicate must be; there is no other way to tell (cosign CVE-2022-35929).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import AwareDatetime, ConfigDict, Field

from sidecar.core import strict_json, wire
from sidecar.core.reasons import EvidenceError
from sidecar.core.window import Window
from sidecar.core.wire import WIRE, DigestSet, Name, Names

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MANIFEST = "urn:admissibility:adaptation-manifest:v1"
RESULT = "https://in-toto.io/attestation/test-result/v0.1"
APPROVAL = "urn:admissibility:approval:v1"
ENVIRONMENT = "urn:admissibility:environment:v1"
WAIVER = "urn:admissibility:waiver:v1"

MAX_PAYLOAD_BYTES = 1 << 19
Count = Annotated[int, Field(ge=0)]
Declarations = Annotated[dict[Name, Name], Field(max_length=64)]
"""What a signer declares for policies to read, by name; free text is for people."""


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
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    role: Name
    name: Name
    digest: DigestSet
    bytes: Count
    records: Count
    classes: Annotated[tuple[Name, ...], Field(max_length=64)] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A document bound by its digest, e.g. ``kind`` ``technical-documentation``."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    kind: Name
    name: Name
    digest: DigestSet


@dataclass(frozen=True, slots=True)
class Run:
    """The training run; ``method`` as the provider names it, e.g. ``supervised``."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    id: Name
    method: Name
    hyperparameters: dict[str, Any]
    started: AwareDatetime
    finished: AwareDatetime
    seed: int | None = None
    trained_tokens: Count | None = None


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
        """A compliance suite answers to one jurisdiction; the others to none."""
        if (self.kind == "compliance") != (self.jurisdiction is not None):
            raise ValueError("a compliance suite, and only such a one, names a jurisdiction")


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
    """Roles the manifest itself asks for; others may only add to them."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    required: Names


@dataclass(frozen=True, slots=True)
class Manifest:
    """The signed adaptation manifest. Subject: model id → artifact digest."""

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
    documents: Annotated[tuple[Document, ...], Field(max_length=256)] = ()
    declarations: Declarations = field(default_factory=dict)
    critical: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SuiteAnnotations:
    """What a result's resource descriptor says of one suite."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    kind: Name
    threshold: float
    score: float
    jurisdiction: Name | None = None


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

    ``base_models`` are patterns over ``provider/id`` that may be called un-adapted.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    jurisdictions: Names
    sector: Name
    purpose: Name
    risk_class: Name
    owner: Name
    window: Window
    base_models: tuple[Name, ...] = ()
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


Predicate = Manifest | Result | Approval | Environment | Waiver
P = TypeVar("P", bound=Predicate, covariant=True)

PREDICATES: dict[str, type[Manifest | Result | Approval | Environment | Waiver]] = {
    MANIFEST: Manifest,
    RESULT: Result,
    APPROVAL: Approval,
    ENVIRONMENT: Environment,
    WAIVER: Waiver,
}


@dataclass(frozen=True, slots=True)
class Subject:
    """The one subject of a statement."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    name: Name
    digest: DigestSet


@dataclass(frozen=True, slots=True)
class _Frame:
    """A statement whose predicate is not looked at yet."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=1)]
    predicate_type: str
    predicate: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Statement(Generic[P]):
    """An in-toto Statement v1 with exactly one subject and a predicate of a known type."""

    subject: Subject
    predicate_type: str
    predicate: P


@dataclass(frozen=True, slots=True, order=True)
class Signer:
    """An authority and the fingerprint of the key of its that signed."""

    authority: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Evidence(Generic[P]):
    """A statement that somebody known signed.

    Attributes:
        digest: Lower-case hex SHA-256 of the payload: the evidence's identity.
        statement: What it says.
        signers: Whose keys signed exactly these bytes, and may sign this predicate type; never
            empty. Whether they were *granted* anything is for the predicate to ask.
    """

    digest: str
    statement: Statement[P]
    signers: tuple[Signer, ...]

    @property
    def predicate(self) -> P:
        """The statement's predicate."""
        return self.statement.predicate


def parse_statement(payload: bytes) -> Statement[Predicate]:
    """Parse the payload of an envelope whose signature was verified.

    Raises:
        EvidenceError: Not a Statement v1, not exactly one subject with a ``sha256``, an unknown
            predicate type, or a predicate that breaks its type's rules.
    """
    try:
        value = strict_json.loads_object(payload, max_bytes=MAX_PAYLOAD_BYTES)
    except strict_json.StrictJsonError as error:
        raise EvidenceError(f"statement: {error}") from error
    if value.get("_type") != STATEMENT_TYPE:
        raise EvidenceError(f"statement: _type is not exactly {STATEMENT_TYPE}")
    frame = wire.read_value(_Frame, value, what="statement")
    kind = PREDICATES.get(frame.predicate_type)
    if kind is None:
        raise EvidenceError(f"statement: predicate type {frame.predicate_type!r} is not known")
    predicate = wire.read_value(kind, frame.predicate, what="predicate")
    statement = Statement(frame.subject[0], frame.predicate_type, predicate)
    _check_subject(statement)
    return statement


def write_statement(statement: Statement[Predicate]) -> bytes:
    """Write a statement as the canonical JSON that is signed as an envelope's payload.

    Raises:
        EvidenceError: Reading it back would refuse it.
    """
    value = {
        "_type": STATEMENT_TYPE,
        "subject": [wire.plain(statement.subject)],
        "predicateType": statement.predicate_type,
        "predicate": wire.plain(statement.predicate),
    }
    payload = wire.canonical(value)
    parse_statement(payload)
    return payload


def _check_subject(statement: Statement[Predicate]) -> None:
    """Hold the subject against what the predicate says of itself."""
    subject, predicate = statement.subject, statement.predicate
    if isinstance(predicate, Manifest) and subject.name != predicate.model.id:
        raise EvidenceError("manifest: the subject is not the model it describes")
    if isinstance(predicate, Environment):
        if hashlib.sha256(subject.name.encode()).hexdigest() != subject.digest.sha256:
            raise EvidenceError("environment: the subject's digest is not that of its SPIFFE ID")
        check_spiffe_id(subject.name)


_SPIFFE_ID = re.compile(r"spiffe://(?P<td>[a-z0-9._-]{1,255})(?P<path>(/[a-zA-Z0-9._-]+)+)")


def check_spiffe_id(text: str) -> str:
    """Return the trust domain of a workload's SPIFFE ID.

    SPIFFE-ID §2: no empty, ``.`` or ``..`` segment, no percent-encoding, no query or fragment, at
    most 2048 bytes; a workload's path is not the root (X509-SVID §4.1).

    Raises:
        EvidenceError: Not such an id.
    """
    found = _SPIFFE_ID.fullmatch(text)
    if found is None or len(text) > 2048:
        raise EvidenceError("not a workload's SPIFFE ID")
    if {".", ".."} & set(found["path"].split("/")):
        raise EvidenceError("a SPIFFE ID has no relative path segments")
    return found["td"]
