"""Parses the documents that an authority publishes as TUF targets.

``authority.json`` lists attestation keys, active and retired. ``withdrawals.json`` holds every no:
withdrawals, failed evaluations, announced supersessions. ``trust-domains.json`` (a delegated role)
holds the roots of its SPIFFE trust domains. What the authority may decide is in none of them: that
is the operator's grant, never self-declared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from sidecar.core import wire
from sidecar.core.keys import PublicKey
from sidecar.core.patterns import matches
from sidecar.core.reasons import EvidenceError
from sidecar.core.window import Window
from sidecar.core.wire import WIRE, Hex64, Name, Names

AUTHORITY_FILE = "authority.json"
WITHDRAWALS_FILE = "withdrawals.json"
TRUST_DOMAINS_FILE = "trust-domains.json"
TRUST_DOMAINS_ROLE = "trust-domains"
"""The delegated TUF role that signs ``TRUST_DOMAINS_FILE``; an online key may hold it."""
MAX_DOCUMENT_BYTES = 4 << 20
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")


@dataclass(frozen=True, slots=True)
class AttestationKey:
    """A key that signs evidence.

    Attributes:
        pem: SubjectPublicKeyInfo.
        window: When its signatures count as agreement.
        predicate_types: What it may sign.
        status: A ``retired`` key still identifies who signed; it no longer counts as agreement.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    pem: Name
    window: Window
    predicate_types: Names
    status: Literal["active", "retired"] = "active"

    @property
    def active(self) -> bool:
        """Whether its signatures count as agreement within its window."""
        return self.status == "active"

    def public_key(self) -> PublicKey:
        """Read the PEM; raises ``EvidenceError`` where it is not a supported key."""
        return PublicKey.from_pem(self.pem)


@dataclass(frozen=True, slots=True)
class TrustDomain:
    """Roots that vouch for a SPIFFE trust domain's workloads.

    ``jwks`` is an RFC 7517 JWK Set for JWT-SVIDs; ``x509_roots`` are PEM certificates of the CAs
    that issue X.509-SVIDs directly.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    name: Name
    jwks: dict[str, Any] | None = None
    x509_roots: tuple[Annotated[str, Field(max_length=16384)], ...] = ()


@dataclass(frozen=True, slots=True)
class AuthorityDocument:
    """``authority.json``."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    type: Literal["urn:admissibility:authority:v1"]
    name: Name
    keys: Annotated[tuple[AttestationKey, ...], Field(max_length=256)]
    trust_domains: Annotated[tuple[TrustDomain, ...], Field(max_length=64)] = ()
    critical: tuple[str, ...] = ()


class WithdrawalKind(StrEnum):
    """What can be withdrawn. ``evaluation`` covers a run's outputs and the envelope's suites."""

    KEY = "key"
    MANIFEST = "manifest"
    APPROVAL = "approval"
    RESULT = "result"
    ENVIRONMENT = "environment"
    WAIVER = "waiver"
    DEPLOYMENT_BINDING = "deployment-binding"
    SPECIFICATION = "specification"
    CORPUS = "corpus"
    RUN = "run"
    EVALUATION = "evaluation"
    MODEL = "model"
    BASE_MODEL = "base-model"
    AUTHORITY = "authority"


_BY_DIGEST = frozenset(
    {
        WithdrawalKind.KEY,
        WithdrawalKind.MANIFEST,
        WithdrawalKind.APPROVAL,
        WithdrawalKind.RESULT,
        WithdrawalKind.ENVIRONMENT,
        WithdrawalKind.WAIVER,
        WithdrawalKind.DEPLOYMENT_BINDING,
        WithdrawalKind.SPECIFICATION,
        WithdrawalKind.CORPUS,
        WithdrawalKind.EVALUATION,
    }
)
BY_PATTERN = frozenset({WithdrawalKind.ENVIRONMENT, WithdrawalKind.BASE_MODEL})
"""Kinds whose subject may be a pattern."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """One entry of ``withdrawals.json``.

    Attributes:
        kind: What sort of thing.
        subject: Which: a key's fingerprint (``sha256:…``); a hex SHA-256 for manifest, approval,
            result, waiver, deployment binding, specification, corpus and evaluation; a SPIFFE ID
            or pattern; a run id; ``provider/id`` of a model; ``provider/id`` or a pattern over it
            for a base model; an authority's name.
        reason: For people and logs.
        effective: From when on; ``None`` is at once, by whatever clock it is read.
        manifest: Of an approval or a result: hex SHA-256 of the manifest that it is about. Models
            tuned from that are then denied by gates too that never saw the statement itself.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    kind: WithdrawalKind
    subject: Name
    reason: Name
    effective: AwareDatetime | None = None
    manifest: Hex64 | None = None

    @property
    def named(self) -> str:
        """The subject as it is looked up: hex digits have one case, a digest has no prefix."""
        found = _DIGEST.fullmatch(self.subject) if self.kind in _BY_DIGEST else None
        if found is None:
            return self.subject
        prefix = "sha256:" if self.kind is WithdrawalKind.KEY else ""
        return prefix + found[1].lower()

    def in_effect(self, now: datetime) -> bool:
        """Return whether it counts at ``now``."""
        return self.effective is None or self.effective <= now

    @property
    def by_pattern(self) -> bool:
        """Whether the subject is a pattern rather than one name."""
        return self.kind in BY_PATTERN

    def hits(self, kind: WithdrawalKind, subject: str) -> bool:
        """Return whether this entry withdraws ``subject`` at some time."""
        if kind is not self.kind:
            return False
        return matches(self.named, subject) if self.by_pattern else self.named == subject


@dataclass(frozen=True, slots=True)
class Failure:
    """An evaluator's FAILED result for one suite; only its publisher can take it back.

    It is of the model that was tested: of every manifest of the same artifact, and of the same run
    under the same name. Otherwise whoever signs another manifest of it would end the failure.

    Attributes:
        manifest: Hex SHA-256 of the payload of the manifest.
        suite: Of the suite.
        result: Of the payload of the failed test-result.
        reason: For people and logs.
        artifact: Of what the manifest is of; ``None`` in entries of earlier releases.
        model: ``provider/id``; ``None`` likewise.
        run: The run's id; ``None`` likewise.
    """

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    manifest: Hex64
    suite: Hex64
    result: Hex64
    reason: Name
    artifact: Hex64 | None = None
    model: Name | None = None
    run: Name | None = None


@dataclass(frozen=True, slots=True)
class Supersession:
    """A producer's announcement that the manifest ``by`` supersedes ``manifest`` (hex SHA-256)."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    manifest: Hex64
    by: Hex64


@dataclass(frozen=True, slots=True)
class WithdrawalsDocument:
    """``withdrawals.json``: every no of one authority."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    type: Literal["urn:admissibility:withdrawals:v1"]
    entries: Annotated[tuple[Withdrawal, ...], Field(max_length=100_000)]
    failures: Annotated[tuple[Failure, ...], Field(max_length=100_000)] = ()
    supersessions: Annotated[tuple[Supersession, ...], Field(max_length=100_000)] = ()
    critical: tuple[str, ...] = ()

    def announced(self, now: datetime, until: datetime) -> tuple[Withdrawal, ...]:
        """Return the withdrawals that take effect after ``now``, by ``until``; the next first."""
        ahead = [
            (entry.effective, entry.subject, entry)
            for entry in self.entries
            if entry.effective is not None and now < entry.effective <= until
        ]
        return tuple(entry for *_, entry in sorted(ahead, key=lambda row: row[:2]))


@dataclass(frozen=True, slots=True)
class TrustDomainsDocument:
    """``trust-domains.json``."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    type: Literal["urn:admissibility:trust-domains:v1"]
    trust_domains: Annotated[tuple[TrustDomain, ...], Field(max_length=64)] = ()
    critical: tuple[str, ...] = ()


def read_authority(data: bytes, *, name: str) -> AuthorityDocument:
    """Read ``authority.json`` of the authority that ``trust.yaml`` calls ``name``.

    Raises:
        EvidenceError: Malformed, speaks of another authority, an unsupported key, or one key
            given twice (a key counts once, whatever windows it is listed under).
    """
    document = wire.read(AuthorityDocument, data, max_bytes=MAX_DOCUMENT_BYTES, what=AUTHORITY_FILE)
    if document.name != name:
        raise EvidenceError(f"{AUTHORITY_FILE}: is of {document.name!r}, not of {name!r}")
    fingerprints = [key.public_key().fingerprint for key in document.keys]
    if len(set(fingerprints)) != len(fingerprints):
        raise EvidenceError(f"{AUTHORITY_FILE}: one key is listed twice")
    _check_domains(AUTHORITY_FILE, document.trust_domains)
    return document


def read_withdrawals(data: bytes) -> WithdrawalsDocument:
    """Read ``withdrawals.json``; raises ``EvidenceError`` where it is malformed."""
    return wire.read(WithdrawalsDocument, data, max_bytes=MAX_DOCUMENT_BYTES, what=WITHDRAWALS_FILE)


def read_trust_domains(data: bytes) -> TrustDomainsDocument:
    """Read ``trust-domains.json``.

    Raises:
        EvidenceError: Malformed, or one trust domain is listed twice.
    """
    document = wire.read(
        TrustDomainsDocument, data, max_bytes=MAX_DOCUMENT_BYTES, what=TRUST_DOMAINS_FILE
    )
    _check_domains(TRUST_DOMAINS_FILE, document.trust_domains)
    return document


def _check_domains(what: str, domains: tuple[TrustDomain, ...]) -> None:
    names = [domain.name for domain in domains]
    if len(set(names)) != len(names):
        raise EvidenceError(f"{what}: one trust domain is listed twice")
