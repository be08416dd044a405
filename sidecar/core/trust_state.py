"""Trust state: one immutable snapshot of everything verified, indexed for the predicate.

``assemble`` takes what the control path obtained (each authority's two documents with their expiry,
the operator's grants, and verified evidence files) and returns a new ``TrustState``. The
request path reads one snapshot per request; nobody changes one. Evidence whose signature no known
key made is counted and named under ``rejected``, and otherwise does not exist.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeVar

from sidecar.core.documents import (
    AuthorityDocument,
    TrustDomain,
    TrustDomainsDocument,
    Withdrawal,
    WithdrawalKind,
    WithdrawalsDocument,
)
from sidecar.core.evidence import (
    APPROVAL,
    DEPLOYMENT_BINDING,
    ENVIRONMENT,
    MANIFEST,
    RESULT,
    SPECIFICATION,
    WAIVER,
    Approval,
    DeploymentBinding,
    Environment,
    Evidence,
    Manifest,
    Predicate,
    Result,
    Signer,
    Specification,
    Waiver,
)
from sidecar.core.grants import PRODUCER, OperatorTrust
from sidecar.core.keys import PublicKey
from sidecar.core.kinds import KINDS, kind_of
from sidecar.core.patterns import any_matches
from sidecar.core.reasons import EvidenceError
from sidecar.core.verification import UNKNOWN_SIGNER, VerifiedFile, verify_file
from sidecar.core.window import Window

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
        trust_domains: Its ``trust-domains.json``; ``None`` where it publishes none.
        heard_since_start: Whether a refresh succeeded since the control path started; a view that
            was only loaded from disk was not.
    """

    name: str
    document: AuthorityDocument
    withdrawals: WithdrawalsDocument
    expires: datetime
    version: int
    trust_domains: TrustDomainsDocument | None = None
    heard_since_start: bool = False

    @property
    def domains(self) -> tuple[TrustDomain, ...]:
        """The SPIFFE trust domains that it publishes roots for."""
        if self.trust_domains is None:
            return self.document.trust_domains
        return self.trust_domains.trust_domains


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A listed attestation key: whose, what it may sign, and when that counts as agreement."""

    authority: str
    key: PublicKey
    window: Window
    predicate_types: tuple[str, ...]
    retired: bool = False

    def agrees(self, now: datetime) -> bool:
        """Whether a signature by the key counts as agreement at ``now``."""
        return not self.retired and self.window.holds(now)


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


def build(
    *,
    epoch: int,
    operator: OperatorTrust,
    views: Iterable[AuthorityView],
    evidence: Iterable[bytes],
) -> TrustState:
    """Verify all evidence and assemble a state; never raises for bad evidence.

    For tests and for commands that run once. The control path verifies each file once and calls
    ``assemble``.

    Args:
        epoch: Larger than that of the state this one replaces.
        operator: The operator's grants.
        views: Verified documents, one per authority at most.
        evidence: Envelope files; the order and repetition do not matter.
    """
    views = tuple(view for view in views if view.name in operator.grants)
    keys = {key for view in views for key in public_keys(view)}
    files: list[VerifiedFile] = []
    rejected: list[Rejected] = []
    for data in frozenset(evidence):
        try:
            files.append(verify_file(data, keys))
        except EvidenceError as error:
            rejected.append(Rejected(hashlib.sha256(data).hexdigest(), str(error)))
    return assemble(epoch=epoch, operator=operator, views=views, files=files, rejected=rejected)


def assemble(
    *,
    epoch: int,
    operator: OperatorTrust,
    views: Iterable[AuthorityView],
    files: Iterable[VerifiedFile],
    rejected: Iterable[Rejected] = (),
) -> TrustState:
    """Attribute verified files to the authorities' keys and index them; tries no signature.

    Args:
        epoch: Larger than that of the state this one replaces.
        operator: The operator's grants.
        views: Verified documents, one per authority at most.
        files: Verified files; the order and repetition do not matter.
        rejected: Files that were refused before; listed beside those refused here.
    """
    authorities = {view.name: view for view in views if view.name in operator.grants}
    keys = _index_keys(authorities.values())
    accepted: dict[str, Evidence[Predicate]] = {}
    refused = {item.file_digest: item for item in rejected}
    for file in sorted(files, key=lambda file: file.file_digest):
        try:
            item = _attributed(file, keys)
        except EvidenceError as error:
            refused[file.file_digest] = Rejected(file.file_digest, str(error))
            continue
        accepted[item.digest] = _merge(accepted.get(item.digest), item)
    listed = tuple(refused[digest] for digest in sorted(refused))
    return _indexed(epoch, operator, authorities, keys, tuple(accepted.values()), listed)


def public_keys(view: AuthorityView) -> tuple[PublicKey, ...]:
    """The attestation keys that a view lists."""
    return tuple(entry.public_key() for entry in view.document.keys)


def _attributed(file: VerifiedFile, keys: Mapping[Signer, KeyRecord]) -> Evidence[Predicate]:
    """Name the signers of a file: the known keys that signed it and may sign such a statement.

    Raises:
        EvidenceError: No known key signed it, or none of those that did may sign its predicate
            type.
    """
    known = [(s, record) for s, record in keys.items() if s.fingerprint in file.fingerprints]
    if not known:
        raise EvidenceError(UNKNOWN_SIGNER)
    predicate_type = file.statement.predicate_type
    signers = tuple(sorted(s for s, record in known if predicate_type in record.predicate_types))
    if not signers:
        raise EvidenceError(f"its signer may not sign {predicate_type}")
    return Evidence(file.digest, file.statement, signers)


def _index_keys(views: Iterable[AuthorityView]) -> Mapping[Signer, KeyRecord]:
    records = {}
    for view in views:
        for entry in view.document.keys:
            key = entry.public_key()
            record = KeyRecord(
                view.name, key, entry.window, entry.predicate_types, not entry.active
            )
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
    found: dict[str, dict[Any, list[Evidence[Any]]]] = {kind.urn: {} for kind in KINDS}
    for item in sorted(accepted, key=lambda e: e.digest):
        subject, kind = item.statement.subject, kind_of(item.predicate)
        at = kind.index(item.digest, subject, item.predicate)
        found[kind.urn].setdefault(at, []).append(item)
    manifests: Mapping[tuple[str, str], tuple[Evidence[Manifest], ...]]
    manifests = _frozen(found[MANIFEST])
    return TrustState(
        epoch=epoch,
        operator=operator,
        authorities=MappingProxyType(authorities),
        keys=keys,
        manifests=manifests,
        manifests_by_digest=MappingProxyType(
            {item.digest: item for items in manifests.values() for item in items}
        ),
        approvals=_frozen(found[APPROVAL]),
        results=_frozen(found[RESULT]),
        environments=_frozen(found[ENVIRONMENT]),
        waivers=_frozen(found[WAIVER]),
        bindings=_frozen(found[DEPLOYMENT_BINDING]),
        specifications=MappingProxyType(
            {digest: items[0] for digest, items in found[SPECIFICATION].items()}
        ),
        withdrawals=MappingProxyType(
            {name: WithdrawalIndex.of(v.withdrawals.entries) for name, v in authorities.items()}
        ),
        rejected=rejected,
    )


def _frozen(index: dict[K, list[V]]) -> Mapping[K, tuple[V, ...]]:
    return MappingProxyType({key: tuple(values) for key, values in index.items()})
