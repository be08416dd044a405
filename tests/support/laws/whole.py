"""Assemble a trust state from everything at once: what each step of the real one must equal.

The same rules, stated over all evidence instead of over a change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sidecar.core import predicates, wire
from sidecar.core.documents import Failure, Withdrawal, WithdrawalKind
from sidecar.core.evidence import Evidence, Signer
from sidecar.core.grants import OperatorTrust
from sidecar.core.kinds import KINDS, kind_of
from sidecar.core.memory import (
    NOTHING,
    Memory,
    Remembered,
    WithdrawnStatement,
)
from sidecar.core.memory import read as read_memory
from sidecar.core.reasons import EvidenceError
from sidecar.core.snapshot import AuthorityView, KeyRecord, Rejected, TrustState
from sidecar.core.verification import UNKNOWN_SIGNER, VerifiedFile
from sidecar.core.withdrawals import AuthoredNode, WithdrawalIndex, frozen, matter
from tests.support.laws.whole_memory import remembered

Earlier = Mapping[tuple[WithdrawalKind, str], tuple[AuthoredNode, ...]]


def assemble_whole(
    *,
    epoch: int,
    operator: OperatorTrust,
    views: Iterable[AuthorityView],
    files: Iterable[VerifiedFile],
    rejected: Iterable[Rejected] = (),
    memory: Remembered = NOTHING,
) -> TrustState:
    """Return the state that ``trust_state.advance`` must return, table by table."""
    authorities = {view.name: view for view in views if view.name in operator.grants}
    keys = _index_keys(authorities.values())
    by_fingerprint: dict[str, list[tuple[Signer, KeyRecord]]] = defaultdict(list)
    for signer, record in keys.items():
        by_fingerprint[signer.fingerprint].append((signer, record))
    accepted: dict[str, Evidence[predicates.Predicate]] = {}
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
    before = read_memory(memory.write())
    state = _indexed(epoch, operator, authorities, keys, items, listed, before)
    return remembered(state, before)


def _attributed(
    file: VerifiedFile, keys: Mapping[str, list[tuple[Signer, KeyRecord]]]
) -> Evidence[predicates.Predicate]:
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
    return dict(records)


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
    memory: Memory,
) -> TrustState:
    found: dict[str, dict[Any, list[Evidence[Any]]]] = {kind.urn: {} for kind in KINDS}
    for item in sorted(accepted, key=lambda e: e.digest):
        subject, kind = item.statement.subject, kind_of(item.predicate)
        at = kind.index(item.digest, subject, item.predicate)
        found[kind.urn].setdefault(at, []).append(item)
    manifests: Mapping[tuple[str, str], tuple[Evidence[predicates.Manifest], ...]]
    manifests = frozen(found[predicates.MANIFEST])
    entries = (entry for view in authorities.values() for entry in view.withdrawals.entries)
    withdrawn = _withdrawn_statements(accepted, entries, memory.withdrawn)
    earlier = _earlier_statements(accepted, withdrawn)
    return TrustState(
        epoch=epoch,
        operator=operator,
        authorities=dict(authorities),
        keys=keys,
        manifests=manifests,
        manifests_by_digest={item.digest: item for items in manifests.values() for item in items},
        approvals=frozen(found[predicates.APPROVAL]),
        results=frozen(found[predicates.RESULT]),
        environments=frozen(found[predicates.ENVIRONMENT]),
        waivers=frozen(found[predicates.WAIVER]),
        bindings=frozen(found[predicates.DEPLOYMENT_BINDING]),
        specifications={
            digest: items[0] for digest, items in found[predicates.SPECIFICATION].items()
        },
        withdrawals={
            name: _index(view.withdrawals.entries, earlier) for name, view in authorities.items()
        },
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
            keys = [failure.manifest]
            keys += [] if failure.artifact is None else [f"artifact {failure.artifact}"]
            if failure.run is not None:
                keys.append("run " + wire.canonical([failure.model, failure.run]).decode())
            for key in keys:
                found[key].append((name, failure))
    return frozen(found)


def _withdrawn_statements(
    items: Iterable[Evidence[predicates.Predicate]],
    entries: Iterable[Withdrawal],
    before: tuple[WithdrawnStatement, ...],
) -> tuple[WithdrawnStatement, ...]:
    """Return ``before`` with every known statement on a matter that an entry names by digest."""
    named = {(entry.kind, entry.subject) for entry in entries}
    found = {
        statement
        for item in items
        if (kind_of(item.predicate).withdrawal, item.digest) in named
        for statement in _authored(item)
    }
    return before if found <= {*before} else tuple(sorted({*before, *found}))


def _earlier_statements(
    items: Iterable[Evidence[predicates.Predicate]], withdrawn: tuple[WithdrawnStatement, ...]
) -> Earlier:
    """Return for each withdrawn statement those of its author on the matter that began no later."""
    newest: dict[tuple[str, str], list[WithdrawnStatement]] = defaultdict(list)
    for statement in withdrawn:
        newest[statement.author, statement.matter].append(statement)
    found: dict[tuple[WithdrawalKind, str], list[AuthoredNode]] = defaultdict(list)
    if not newest:
        return {}
    for older in (each for item in items for each in _authored(item)):
        for newer in newest.get((older.author, older.matter), ()):
            if (older.began, older.digest) < (newer.began, newer.digest):
                node = AuthoredNode(older.kind, older.digest, older.author)
                found[newer.kind, newer.digest].append(node)
    return frozen(found)


def _authored(item: Evidence[predicates.Predicate]) -> Iterator[WithdrawnStatement]:
    """Yield a statement on a matter once for each of its authors."""
    about = matter(item)
    if about is not None:
        kind, text = kind_of(item.predicate).withdrawal, wire.canonical(about).decode()
        for author in dict.fromkeys(signer.authority for signer in item.signers):
            yield WithdrawnStatement(kind, item.digest, author, text, _began(item))


def _began(item: Evidence[Any]) -> datetime:
    began: datetime = item.predicate.window.not_before
    return began


def _index(entries: tuple[Withdrawal, ...], earlier: Earlier) -> WithdrawalIndex:
    index = WithdrawalIndex.of(entries)
    authored: dict[AuthoredNode, list[Withdrawal]] = defaultdict(list)
    for entry in entries:
        for node in earlier.get((entry.kind, entry.subject), ()):
            authored[node].append(entry)
    return replace(index, authored=frozen(authored))
