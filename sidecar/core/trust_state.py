"""Build trust states from what the control path obtained.

``assemble`` takes each authority's documents, the operator's grants, verified evidence files and
what the state before remembered, and returns a new ``TrustState``. Evidence whose signature no
known key made is named under ``rejected``, and otherwise does not exist.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from sidecar.core import succession
from sidecar.core.documents import Failure
from sidecar.core.evidence import (
    APPROVAL,
    DEPLOYMENT_BINDING,
    ENVIRONMENT,
    MANIFEST,
    RESULT,
    SPECIFICATION,
    WAIVER,
    Evidence,
    Manifest,
    Predicate,
    Signer,
)
from sidecar.core.grants import OperatorTrust
from sidecar.core.keys import PublicKey
from sidecar.core.kinds import KINDS, kind_of
from sidecar.core.memory import NOTHING, Memory
from sidecar.core.reasons import EvidenceError
from sidecar.core.snapshot import AuthorityView, KeyRecord, Rejected, TrustState
from sidecar.core.verification import UNKNOWN_SIGNER, VerifiedFile, verify_file
from sidecar.core.withdrawals import (
    WithdrawalIndex,
    earlier_statements,
    frozen,
    withdrawn_statements,
)

__all__ = [
    "AuthorityView",
    "KeyRecord",
    "Rejected",
    "TrustState",
    "WithdrawalIndex",
    "assemble",
    "build",
    "public_keys",
]


def build(
    *,
    epoch: int,
    operator: OperatorTrust,
    views: Iterable[AuthorityView],
    evidence: Iterable[bytes],
    memory: Memory = NOTHING,
) -> TrustState:
    """Verify all evidence and assemble a state; never raises for bad evidence.

    For tests and for commands that run once. The control path verifies each file once and calls
    ``assemble``.

    Args:
        epoch: Larger than that of the state this one replaces.
        operator: The operator's grants.
        views: Verified documents, one per authority at most.
        evidence: Envelope files; the order and repetition do not matter.
        memory: Of the state this one replaces, or as it was persisted.
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
    return assemble(
        epoch=epoch, operator=operator, views=views, files=files, rejected=rejected, memory=memory
    )


def assemble(
    *,
    epoch: int,
    operator: OperatorTrust,
    views: Iterable[AuthorityView],
    files: Iterable[VerifiedFile],
    rejected: Iterable[Rejected] = (),
    memory: Memory = NOTHING,
) -> TrustState:
    """Attribute verified files to the authorities' keys and index them; tries no signature.

    Args:
        epoch: Larger than that of the state this one replaces.
        operator: The operator's grants.
        views: Verified documents, one per authority at most.
        files: Verified files; the order and repetition do not matter.
        rejected: Files that were refused before; listed beside those refused here.
        memory: Of the state this one replaces, or as it was persisted.
    """
    authorities = {view.name: view for view in views if view.name in operator.grants}
    keys = _index_keys(authorities.values())
    by_fingerprint: dict[str, list[tuple[Signer, KeyRecord]]] = defaultdict(list)
    for signer, record in keys.items():
        by_fingerprint[signer.fingerprint].append((signer, record))
    accepted: dict[str, Evidence[Predicate]] = {}
    refused = {item.file_digest: item for item in rejected}
    for file in sorted(files, key=lambda file: file.file_digest):
        try:
            item = _attributed(file, by_fingerprint)
        except EvidenceError as error:
            refused[file.file_digest] = Rejected(file.file_digest, str(error))
            continue
        accepted[item.digest] = _merge(accepted.get(item.digest), item)
    listed = tuple(refused[digest] for digest in sorted(refused))
    items = tuple(accepted.values())
    state = _indexed(epoch, operator, authorities, keys, items, listed, memory)
    return succession.remembered(state, memory)


def public_keys(view: AuthorityView) -> tuple[PublicKey, ...]:
    """Return the attestation keys that a view lists."""
    return tuple(entry.public_key() for entry in view.document.keys)


def _attributed(
    file: VerifiedFile, keys: Mapping[str, list[tuple[Signer, KeyRecord]]]
) -> Evidence[Predicate]:
    """Name the signers of a file: the known keys that signed it and may sign such a statement.

    Raises:
        EvidenceError: No known key signed it, or none of those that did may sign its predicate
            type.
    """
    known = [each for fingerprint in file.fingerprints for each in keys.get(fingerprint, ())]
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
    """Merge envelopes of one payload into one piece of evidence with all their signers."""
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
    memory: Memory,
) -> TrustState:
    found: dict[str, dict[Any, list[Evidence[Any]]]] = {kind.urn: {} for kind in KINDS}
    for item in sorted(accepted, key=lambda e: e.digest):
        subject, kind = item.statement.subject, kind_of(item.predicate)
        at = kind.index(item.digest, subject, item.predicate)
        found[kind.urn].setdefault(at, []).append(item)
    manifests: Mapping[tuple[str, str], tuple[Evidence[Manifest], ...]]
    manifests = frozen(found[MANIFEST])
    entries = (entry for view in authorities.values() for entry in view.withdrawals.entries)
    withdrawn = withdrawn_statements(accepted, entries, memory.withdrawn)
    earlier = earlier_statements(accepted, withdrawn)
    return TrustState(
        epoch=epoch,
        operator=operator,
        authorities=MappingProxyType(authorities),
        keys=keys,
        manifests=manifests,
        manifests_by_digest=MappingProxyType(
            {item.digest: item for items in manifests.values() for item in items}
        ),
        approvals=frozen(found[APPROVAL]),
        results=frozen(found[RESULT]),
        environments=frozen(found[ENVIRONMENT]),
        waivers=frozen(found[WAIVER]),
        bindings=frozen(found[DEPLOYMENT_BINDING]),
        specifications=MappingProxyType(
            {digest: items[0] for digest, items in found[SPECIFICATION].items()}
        ),
        withdrawals=MappingProxyType(
            {
                name: WithdrawalIndex.of(view.withdrawals.entries, earlier)
                for name, view in authorities.items()
            }
        ),
        failures=_failures(authorities),
        successors={},
        statements={},
        taken_over=frozenset(),
        declared={},
        adapted=frozenset(),
        memory=Memory(withdrawn=withdrawn),
        rejected=rejected,
    )


def _failures(
    views: Mapping[str, AuthorityView],
) -> Mapping[str, tuple[tuple[str, Failure], ...]]:
    found: dict[str, list[tuple[str, Failure]]] = defaultdict(list)
    for name, view in sorted(views.items()):
        for failure in view.withdrawals.failures:
            found[failure.manifest].append((name, failure))
    return frozen(found)
