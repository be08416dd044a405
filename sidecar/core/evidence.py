"""Evidence: the statements that the gate understands, and who signed them.

A ``Statement`` is what an envelope's payload says; an ``Evidence`` is a statement together with
the keys that really signed it. The predicate type decides which of the ``predicates`` the
predicate must be; there is no other way to tell (cosign CVE-2022-35929).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic

from pydantic import ConfigDict, Field

from sidecar.core import strict_json, wire
from sidecar.core.predicates import (
    APPROVAL,
    DEPLOYMENT_BINDING,
    ENVIRONMENT,
    MANIFEST,
    PREDICATES,
    RESULT,
    SPECIFICATION,
    WAIVER,
    Approval,
    Corpus,
    DeploymentBinding,
    Document,
    Environment,
    EnvironmentSpec,
    EvaluationEnvelope,
    EvaluationOutput,
    Manifest,
    ModelClaim,
    P,
    Predicate,
    RequiredApprovals,
    Result,
    Run,
    Specification,
    Suite,
    SuiteAnnotations,
    SuiteResult,
    Waiver,
    base_model_digest,
    specification_blob,
)
from sidecar.core.reasons import EvidenceError
from sidecar.core.wire import WIRE, DigestSet, Name

__all__ = [
    "APPROVAL",
    "DEPLOYMENT_BINDING",
    "ENVIRONMENT",
    "MANIFEST",
    "MAX_PAYLOAD_BYTES",
    "PREDICATES",
    "RESULT",
    "SPECIFICATION",
    "STATEMENT_TYPE",
    "WAIVER",
    "Approval",
    "Corpus",
    "DeploymentBinding",
    "Document",
    "Environment",
    "EnvironmentSpec",
    "EvaluationEnvelope",
    "EvaluationOutput",
    "Evidence",
    "Manifest",
    "ModelClaim",
    "P",
    "Predicate",
    "RequiredApprovals",
    "Result",
    "Run",
    "Signer",
    "Specification",
    "Statement",
    "Subject",
    "Suite",
    "SuiteAnnotations",
    "SuiteResult",
    "Waiver",
    "base_model_digest",
    "check_spiffe_id",
    "parse_statement",
    "specification_blob",
    "write_statement",
]

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
MAX_PAYLOAD_BYTES = 1 << 19


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
    if isinstance(predicate, DeploymentBinding) and subject.name != predicate.deployment:
        raise EvidenceError("deployment binding: the subject is not the deployment it binds")
    if isinstance(predicate, Specification):
        blob = specification_blob(predicate.environments, predicate.envelope)
        if hashlib.sha256(blob).hexdigest() != subject.digest.sha256:
            raise EvidenceError("specification: the subject's digest is not that of what it says")


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
