"""Trust state: one immutable snapshot of everything verified, indexed for the predicate.

``build`` takes what the control path obtained (each authority's two documents with their expiry,
the operator's grants, and raw evidence files from anywhere) and returns a new ``TrustState``. The
request path reads one snapshot per request; nobody changes one. Evidence whose signature no known
key made is counted and named under ``rejected``, and otherwise does not exist.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from sidecar.core import dsse
from sidecar.core.documents import (
    AuthorityDocument,
    Withdrawal,
    WithdrawalKind,
    WithdrawalsDocument,
)
from sidecar.core.evidence import (
    Approval,
    DeploymentBinding,
    Environment,
    Evidence,
    Manifest,
    Predicate,
    Result,
    Signer,
    Specification,
    Statement,
    Waiver,
    parse_statement,
)
from sidecar.core.grants import PRODUCER, OperatorTrust
from sidecar.core.keys import PublicKey
from sidecar.core.patterns import any_matches
from sidecar.core.reasons import EvidenceError
from sidecar.core.window import Window

MAX_EVIDENCE_FILES = 100_000
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class AuthorityView:
    """What one authority's repository said when it was last verified.

    Attributes:
        name: As the operator knows it.
        document: Its ``authority.json``.
        withdrawals: Its ``withdrawals.json``.
        expires: The earliest expiry of its root, targets, snapshot and timestamp metadata.
        version: Of its timestamp metadata.
    """

    name: str
    document: AuthorityDocument
    withdrawals: WithdrawalsDocument
    expires: datetime
    version: int


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A known attestation key: whose, until when, and what it may sign."""

    authority: str
    key: PublicKey
    window: Window
    predicate_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Evidence that was refused: SHA-256 of the file, and why."""

    file_digest: str
    why: str


@dataclass(frozen=True, slots=True)
class WithdrawalIndex:
    """One authority's withdrawals, found by what they withdraw."""

    entries: int
    exact: Mapping[tuple[WithdrawalKind, str], tuple[Withdrawal, ...]]
    patterns: tuple[Withdrawal, ...]

    @classmethod
    def of(cls, entries: tuple[Withdrawal, ...]) -> WithdrawalIndex:
        """Index ``entries``."""
        exact: dict[tuple[WithdrawalKind, str], list[Withdrawal]] = defaultdict(list)
        patterns = []
        for entry in entries:
            if entry.by_pattern:
                patterns.append(entry)
            else:
                exact[entry.kind, entry.subject].append(entry)
        return cls(len(entries), _frozen(exact), tuple(patterns))

    def hits(self, kind: WithdrawalKind, subject: str) -> tuple[Withdrawal, ...]:
        """Entries that withdraw ``subject``, whenever they take effect."""
        by_pattern = tuple(entry for entry in self.patterns if entry.hits(kind, subject))
        return self.exact.get((kind, subject), ()) + by_pattern


@dataclass(frozen=True, slots=True)
class TrustState:
    """The snapshot. Every mapping is read-only; every tuple is in a stable order.

    Attributes:
        epoch: Grows with every new state of one control path.
        operator: The operator's grants and requirements.
        authorities: Name → verified view. One that was never verified is absent.
        keys: (authority, fingerprint) → record.
        manifests: (provider, model id) → verified manifests.
        manifests_by_digest: Payload digest → manifest.
        approvals: Manifest digest → approvals.
        results: Manifest digest → results.
        environments: SPIFFE ID → declarations.
        waivers: Digest of the subject (a manifest, or a SPIFFE ID) → waivers.
        bindings: (provider, deployment) → deployment bindings.
        specifications: Payload digest → specification.
        withdrawals: Authority → index of its withdrawals.
        rejected: Evidence that was refused.
    """

    epoch: int
    operator: OperatorTrust
    authorities: Mapping[str, AuthorityView]
    keys: Mapping[Signer, KeyRecord]
    manifests: Mapping[tuple[str, str], tuple[Evidence[Manifest], ...]]
    manifests_by_digest: Mapping[str, Evidence[Manifest]]
    approvals: Mapping[str, tuple[Evidence[Approval], ...]]
    results: Mapping[str, tuple[Evidence[Result], ...]]
    environments: Mapping[str, tuple[Evidence[Environment], ...]]
    waivers: Mapping[str, tuple[Evidence[Waiver], ...]]
    bindings: Mapping[tuple[str, str], tuple[Evidence[DeploymentBinding], ...]]
    specifications: Mapping[str, Evidence[Specification]]
    withdrawals: Mapping[str, WithdrawalIndex]
    rejected: tuple[Rejected, ...]

    def unsuperseded(self, provider: str, model: str) -> tuple[Evidence[Manifest], ...]:
        """Manifests of a model by producers granted for it, less those a later one replaces.

        Where no granted producer signed any, those by others are returned, so that step 3 can
        name them as unverified instead of step 2 calling them missing.
        """
        known = self.manifests.get((provider, model), ())
        granted = tuple(item for item in known if self._by_producer(item))
        candidates = granted or known
        replaced = {
            item.predicate.supersedes.sha256
            for item in candidates
            if item.predicate.supersedes is not None
        }
        return tuple(item for item in candidates if item.digest not in replaced)

    def _by_producer(self, item: Evidence[Manifest]) -> bool:
        name = f"{item.predicate.model.provider}/{item.predicate.model.id}"
        return any(
            grant.role == PRODUCER and any_matches(grant.models, name)
            for signer in item.signers
            for grant in self.operator.of(signer.authority)
        )


@dataclass(slots=True)
class SignatureCache:
    """Remembers which keys signed which envelope and what it says: evidence is verified once.

    Owned by the control path and handed to ``build``; a result depends on nothing but the
    envelope's bytes and the keys, which are its key.
    """

    _signed: dict[tuple[str, str], bool] = field(default_factory=dict)
    _parsed: dict[str, Statement[Predicate]] = field(default_factory=dict)

    def verified_by(
        self, file_digest: str, envelope: dsse.Envelope, keys: Iterable[PublicKey]
    ) -> frozenset[str]:
        """Like ``dsse.verified_by``, remembering each answer."""
        found = set()
        for key in keys:
            at = (file_digest, key.fingerprint)
            if at not in self._signed:
                self._signed[at] = bool(dsse.verified_by(envelope, [key]))
            if self._signed[at]:
                found.add(key.fingerprint)
        return frozenset(found)

    def statement(self, file_digest: str, envelope: dsse.Envelope) -> Statement[Predicate]:
        """Like ``parse_statement``, remembering the statement; a refusal is not remembered.

        Raises:
            EvidenceError: The payload is no statement that is known here.
        """
        if file_digest not in self._parsed:
            self._parsed[file_digest] = parse_statement(envelope.payload)
        return self._parsed[file_digest]

    def keep_only(self, file_digests: frozenset[str]) -> None:
        """Forget files that are gone, so that the cache cannot outgrow the evidence."""
        self._signed = {at: ok for at, ok in self._signed.items() if at[0] in file_digests}
        self._parsed = {at: said for at, said in self._parsed.items() if at in file_digests}


def build(
    *,
    epoch: int,
    operator: OperatorTrust,
    views: Iterable[AuthorityView],
    evidence: Iterable[bytes],
    cache: SignatureCache | None = None,
) -> TrustState:
    """Verify and index everything; never raises for bad evidence.

    Args:
        epoch: Larger than that of the state this one replaces.
        operator: The operator's grants.
        views: Verified documents, one per authority at most.
        evidence: Envelope files; the order and repetition do not matter.
        cache: Verification results to reuse and to add to.
    """
    cache = cache if cache is not None else SignatureCache()
    authorities = {view.name: view for view in views if view.name in operator.grants}
    keys = _index_keys(authorities.values())
    files = {hashlib.sha256(data).hexdigest(): data for data in evidence}
    cache.keep_only(frozenset(files))
    accepted: dict[str, Evidence[Predicate]] = {}
    rejected: list[Rejected] = []
    for number, (file_digest, data) in enumerate(sorted(files.items())):
        try:
            if number >= MAX_EVIDENCE_FILES:
                raise EvidenceError(f"more than {MAX_EVIDENCE_FILES} files of evidence")
            item = verify(data, file_digest, keys, cache)
        except EvidenceError as error:
            rejected.append(Rejected(file_digest, str(error)))
            continue
        accepted[item.digest] = _merge(accepted.get(item.digest), item)
    return _indexed(epoch, operator, authorities, keys, tuple(accepted.values()), tuple(rejected))


def verify(
    data: bytes, file_digest: str, keys: Mapping[Signer, KeyRecord], cache: SignatureCache
) -> Evidence[Predicate]:
    """Verify one file of evidence: signature first, then statement, then who may sign such.

    Raises:
        EvidenceError: No known key signed it, it is malformed, or none of the keys that signed it
            may sign its predicate type.
    """
    envelope = dsse.parse(data)
    fingerprints = cache.verified_by(file_digest, envelope, {r.key for r in keys.values()})
    if not fingerprints:
        raise EvidenceError("no key of a known authority signed it")
    statement = cache.statement(file_digest, envelope)
    signers = tuple(
        sorted(
            signer
            for signer, record in keys.items()
            if signer.fingerprint in fingerprints
            and statement.predicate_type in record.predicate_types
        )
    )
    if not signers:
        raise EvidenceError(f"its signer may not sign {statement.predicate_type}")
    return Evidence(envelope.digest, statement, signers)


def _index_keys(views: Iterable[AuthorityView]) -> Mapping[Signer, KeyRecord]:
    records = {}
    for view in views:
        for entry in view.document.keys:
            key = entry.public_key()
            record = KeyRecord(view.name, key, entry.window, entry.predicate_types)
            records[Signer(view.name, key.fingerprint)] = record
    return MappingProxyType(records)


def _merge(known: Evidence[Any] | None, new: Evidence[Any]) -> Evidence[Any]:
    """One payload in several envelopes is one piece of evidence with all their signers."""
    if known is None:
        return new
    signers = tuple(sorted({*known.signers, *new.signers}))
    return Evidence(known.digest, known.statement, signers)


def _indexed(
    epoch: int,
    operator: OperatorTrust,
    authorities: dict[str, AuthorityView],
    keys: Mapping[Signer, KeyRecord],
    accepted: tuple[Evidence[Any], ...],
    rejected: tuple[Rejected, ...],
) -> TrustState:
    manifests: dict[tuple[str, str], list[Evidence[Manifest]]] = defaultdict(list)
    approvals: dict[str, list[Evidence[Approval]]] = defaultdict(list)
    results: dict[str, list[Evidence[Result]]] = defaultdict(list)
    environments: dict[str, list[Evidence[Environment]]] = defaultdict(list)
    waivers: dict[str, list[Evidence[Waiver]]] = defaultdict(list)
    bindings: dict[tuple[str, str], list[Evidence[DeploymentBinding]]] = defaultdict(list)
    specifications: dict[str, Evidence[Specification]] = {}
    for item in sorted(accepted, key=lambda e: e.digest):
        subject, predicate = item.statement.subject, item.predicate
        if isinstance(predicate, Manifest):
            manifests[predicate.model.provider, predicate.model.id].append(item)
        elif isinstance(predicate, Approval):
            approvals[subject.digest.sha256].append(item)
        elif isinstance(predicate, Result):
            results[subject.digest.sha256].append(item)
        elif isinstance(predicate, Waiver):
            waivers[subject.digest.sha256].append(item)
        elif isinstance(predicate, DeploymentBinding):
            bindings[predicate.provider, predicate.deployment].append(item)
        elif isinstance(predicate, Specification):
            specifications[item.digest] = item
        else:
            environments[subject.name].append(item)
    return TrustState(
        epoch=epoch,
        operator=operator,
        authorities=MappingProxyType(authorities),
        keys=keys,
        manifests=_frozen(manifests),
        manifests_by_digest=MappingProxyType(
            {item.digest: item for items in manifests.values() for item in items}
        ),
        approvals=_frozen(approvals),
        results=_frozen(results),
        environments=_frozen(environments),
        waivers=_frozen(waivers),
        bindings=_frozen(bindings),
        specifications=MappingProxyType(specifications),
        withdrawals=MappingProxyType(
            {name: WithdrawalIndex.of(v.withdrawals.entries) for name, v in authorities.items()}
        ),
        rejected=rejected,
    )


def _frozen(index: dict[K, list[V]]) -> Mapping[K, tuple[V, ...]]:
    return MappingProxyType({key: tuple(values) for key, values in index.items()})
