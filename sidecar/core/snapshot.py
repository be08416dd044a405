"""Defines the trust state: an immutable snapshot of everything verified, indexed for the steps.

The request path reads one snapshot per request; ``trust_state.advance`` makes the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from sidecar.core.documents import (
    AuthorityDocument,
    Failure,
    TrustDomain,
    TrustDomainsDocument,
    WithdrawalsDocument,
)
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.grants import OperatorTrust
from sidecar.core.keys import PublicKey
from sidecar.core.memory import LineageNode, Remembered, Successor
from sidecar.core.predicates import (
    Approval,
    DeploymentBinding,
    Environment,
    Manifest,
    Result,
    Specification,
    Waiver,
)
from sidecar.core.window import Window
from sidecar.core.withdrawals import WithdrawalIndex


@dataclass(frozen=True, slots=True)
class AuthorityView:
    """One authority's documents as they were last verified; it grows stale, it never goes away.

    Attributes:
        name: As the operator knows it.
        document: Its ``authority.json``.
        withdrawals: Its ``withdrawals.json``.
        expires: The earliest expiry of its root, targets, snapshot and timestamp metadata.
        version: Of its timestamp metadata.
        trust_domains: Its ``trust-domains.json``; ``None`` where it publishes none.
        heard_since_start: Whether a refresh succeeded since the control path started; a view that
            was only loaded from disk was not.
        withdrawals_sha256: Hex SHA-256 of its ``withdrawals.json`` as published; empty where the
            view was kept by a release that did not note it, until the next refresh.
    """

    name: str
    document: AuthorityDocument
    withdrawals: WithdrawalsDocument
    expires: datetime
    version: int
    trust_domains: TrustDomainsDocument | None = None
    heard_since_start: bool = False
    withdrawals_sha256: str = ""

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
        """Return whether a signature by the key counts as agreement at ``now``."""
        return not self.retired and self.window.holds(now)


@dataclass(frozen=True, slots=True)
class Rejected:
    """Evidence that was refused: SHA-256 of the file, and why."""

    file_digest: str
    why: str


@dataclass(frozen=True, slots=True)
class TrustState:
    """The snapshot. Every mapping is read-only; every tuple is in a stable order.

    Attributes:
        epoch: Grows with every new state of one control path.
        operator: The operator's grants and requirements.
        authorities: Name → verified view. One that was never heard is absent.
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
        failures: What was tested → (authority, published failure); ``failure_keys``.
        successors: Digest of a manifest → what supersedes it: known, remembered or announced.
        statements: Digest of a manifest that others build on → the approvals and results about it.
        taken_over: (manifest digest, SPIFFE ID) where a successor took over, for good.
        declared: SPIFFE ID → (sector, jurisdiction) of everything it was ever declared for.
        adapted: ``provider/id`` of every model for which a granted producer signed a manifest.
        memory: What the next state must be given; the same object as long as nothing is new.
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
    failures: Mapping[str, tuple[tuple[str, Failure], ...]]
    successors: Mapping[str, tuple[Successor, ...]]
    statements: Mapping[str, tuple[LineageNode, ...]]
    taken_over: AbstractSet[tuple[str, str]]
    declared: Mapping[str, tuple[tuple[str, str], ...]]
    adapted: AbstractSet[str]
    memory: Remembered
    rejected: tuple[Rejected, ...]
