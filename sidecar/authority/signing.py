"""Signs evidence, with everything that its signing publishes, in one step.

Theory of operation. Evidence only ever permits, so three statements have a second half that is a
*no* and must be published: a FAILED result (``failures``), a manifest that supersedes another
(``supersessions``), and a statement that permits less than an older one of the same authority on
the same matter (the older one is withdrawn; see ``matters``). ``issue`` signs the statement, places
its file, and publishes the second half, in one commit (``journal``): the newer file is in place
first, and a command that is interrupted is completed by the next one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from sidecar.authority import journal, keys, records
from sidecar.authority.errors import AuthorityError
from sidecar.authority.journal import Placement
from sidecar.authority.keys import ATTESTATION, HeldKey
from sidecar.authority.matters import Relation, relation
from sidecar.authority.open_home import Home, OpenHome, Publication, commit, instant, locked_home
from sidecar.authority.records import RecordedStatement
from sidecar.core import dsse
from sidecar.core.documents import (
    AuthorityDocument,
    Failure,
    Supersession,
    Withdrawal,
    WithdrawalsDocument,
)
from sidecar.core.evidence import Statement, write_statement
from sidecar.core.keys import PublicKey
from sidecar.core.kinds import kind_of
from sidecar.core.predicates import Approval, Manifest, Predicate, Result
from sidecar.core.window import Window, rfc3339

FAILED = "FAILED"
T = TypeVar("T")
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class TestedModel:
    """The model that a result is about: a failure is of every manifest of it.

    Attributes:
        artifact: Hex SHA-256 of what its manifest is of.
        model: ``provider/id``.
        run: The run's id.
    """

    artifact: str
    model: str
    run: str

    @classmethod
    def of(cls, artifact: str, manifest: Manifest) -> TestedModel:
        """Return the model of a manifest."""
        model = manifest.model
        return cls(artifact, f"{model.provider}/{model.id}", manifest.run.id)


@dataclass(frozen=True, slots=True)
class Issued:
    """Evidence that was signed and handed out.

    Attributes:
        statement: As signed; its window may begin a second later than it was asked for.
        digest: Hex SHA-256 of the payload.
        path: The envelope's file.
        fingerprint: Of the key that signed.
        replaced: Digests of older statements that were withdrawn, because this one permits less.
        beside: Digests of older statements on the matter that stay, because the two add up.
        later: Digests of statements on the matter that begin later than this one, and stay.
        publication: What was published with it, or ``None`` where nothing had to be.
    """

    statement: Statement[Predicate]
    digest: str
    path: Path
    fingerprint: str
    replaced: tuple[str, ...]
    beside: tuple[str, ...]
    later: tuple[str, ...]
    publication: Publication | None


@dataclass(frozen=True, slots=True)
class _Older:
    """What is recorded on the matter of a new statement, by what becomes of it."""

    replaced: tuple[RecordedStatement, ...]
    beside: tuple[RecordedStatement, ...]
    later: tuple[RecordedStatement, ...]


def attest(home: Home, statement: Statement[Predicate], now: datetime) -> bytes:
    """Sign a statement with the current attestation key, and record it. Publishes nothing.

    Returns:
        A DSSE envelope as JSON bytes; ``dsse.HINT`` names the key, ``keyid`` is empty.

    Raises:
        AuthorityError: The key is not valid now, may not sign this predicate type, or fails.
        EvidenceError: The statement is not one that a reader would accept.
    """
    payload = write_statement(statement)
    with locked_home(home.path) as opened:
        envelope = sign_payload(opened, statement.predicate_type, payload, (), now)
        record = records.write(statement, dsse.parse(envelope).digest, envelope)
        journal.commit(opened.path, [record])
    return envelope


def issue(
    home: Home,
    statement: Statement[Predicate],
    now: datetime,
    *,
    out: Path,
    keep_older: bool = False,
    tested: TestedModel | None = None,
) -> Issued:
    """Sign a statement, hand it out, and publish the no that it implies, in one step.

    Args:
        home: The authority's home.
        statement: What to sign.
        now: Aware.
        out: Folder that evidence is handed out from; created if needed.
        keep_older: Withdraw no older statement: this one is a further piece.
        tested: The model that a result is about; without it a failure is of that manifest alone.

    Raises:
        AuthorityError: As ``attest``; its window is over, so that it would permit nothing; or a
            key that publishing needs cannot be used. Nothing was changed then.
        EvidenceError: The statement is not one that a reader would accept.
    """
    kind = kind_of(statement.predicate).noun
    _check_not_over(statement.predicate, now)
    with locked_home(home.path) as opened:
        statement, older = _ordered(opened, statement, now)
        if keep_older:
            older = _Older((), older.replaced + older.beside, older.later)
        payload = write_statement(statement)
        envelope = sign_payload(opened, statement.predicate_type, payload, (), now)
        digest = dsse.parse(envelope).digest
        placement = Placement(out, f"{kind}-{digest[:12]}", records.SUFFIX, envelope)
        writes = [records.write(statement, digest, envelope)]
        withdrawals = _implied(opened.withdrawals, statement, digest, kind, older.replaced)
        if tested is not None:
            withdrawals = _about(tested, withdrawals, digest)
        publication = None
        if withdrawals == opened.withdrawals:
            path = journal.commit(opened.path, writes, placement)
        else:
            publication, path = commit(
                opened.path,
                opened,
                replace(opened, withdrawals=withdrawals),
                instant(now),
                records=writes,
                placement=placement,
            )
        fingerprint = opened.settings.keys[ATTESTATION].fingerprint()
    if path is None:
        raise AuthorityError("the evidence was not placed")
    replaced, beside, later = (
        tuple(item.digest for item in items)
        for items in (older.replaced, older.beside, older.later)
    )
    return Issued(statement, digest, path, fingerprint, replaced, beside, later, publication)


def _check_not_over(predicate: Predicate, now: datetime) -> None:
    """Refuse what has ended already; a FAILED result is a no, which has no end."""
    ends = predicate.window.not_after
    if ends <= now and not (isinstance(predicate, Result) and predicate.result == FAILED):
        what = kind_of(predicate).noun
        raise AuthorityError(f"nothing was signed: the {what} would have ended at {rfc3339(ends)}")


def older_on_matter(
    opened: OpenHome, recorded: RecordedStatement, now: datetime
) -> tuple[RecordedStatement, ...]:
    """Return the older statements on a matter that a withdrawal of ``recorded`` must name too.

    So are those that begin in the same second, since which was signed first cannot be told. Those
    that ended are left out: they permit nothing any more.
    """
    known = records.on_matter(opened.path, recorded.statement, recorded.digest)
    begins = recorded.statement.predicate.window.not_before
    return tuple(
        item
        for item in known
        if item.statement.predicate.window.not_before <= begins
        and item.statement.predicate.window.not_after > now
    )


def replaces(newer: RecordedStatement, older: RecordedStatement) -> bool:
    """Return whether a statement begins after another one on its matter, and permits less."""
    before, after = (each.statement.predicate.window.not_before for each in (older, newer))
    return before < after and relation(newer.statement, older.statement) is Relation.NARROWS


def _rank(item: RecordedStatement) -> tuple[datetime, str]:
    """Return the order of statements on one matter."""
    return item.statement.predicate.window.not_before, item.digest


def _ordered(
    opened: OpenHome, statement: Statement[Predicate], now: datetime
) -> tuple[Statement[Predicate], _Older]:
    """Compare a statement with those on its matter; let it begin after those that it replaces."""
    known = [
        item
        for item in records.on_matter(opened.path, statement, "")
        if item.statement != statement and item.statement.predicate.window.not_after > now
    ]
    begins = statement.predicate.window.not_before
    related = [(relation(statement, item.statement), item) for item in known]
    narrowed = [item for found, item in related if found is Relation.NARROWS]
    withdrawn = {e.subject for e in opened.withdrawals.entries if e.in_effect(now)}
    newest = max(
        (
            _rank(item)
            for item in narrowed
            if item.digest not in withdrawn and item.statement.predicate.window.not_before <= begins
        ),
        default=None,
    )
    # A withdrawal hits every statement on the matter that began no later, so each is named.
    replaced = () if newest is None else tuple(i for i in known if _rank(i) <= newest)
    if newest is not None and newest[0] == begins:
        # In the same second it would hit the new statement as well.
        window = Window(begins + _SECOND, statement.predicate.window.not_after)
        statement = replace(statement, predicate=replace(statement.predicate, window=window))
    later = tuple(i for i in narrowed if i.statement.predicate.window.not_before > begins)
    beside = tuple(i for found, i in related if found is Relation.BESIDE and i not in replaced)
    return statement, _Older(replaced, beside, later)


def judged_manifest(statement: Statement[Predicate]) -> str | None:
    """Return the manifest that an approval or a result is about; ``None`` for all else."""
    judges = isinstance(statement.predicate, Approval | Result)
    return statement.subject.digest.sha256 if judges else None


def _implied(
    known: WithdrawalsDocument,
    statement: Statement[Predicate],
    digest: str,
    kind: str,
    replaced: tuple[RecordedStatement, ...],
) -> WithdrawalsDocument:
    """Add to the published noes those that a statement implies."""
    predicate = statement.predicate
    entries = tuple(
        Withdrawal(
            kind_of(item.statement.predicate).withdrawal,
            item.digest,
            f"replaced by {kind} {digest}",
            manifest=judged_manifest(item.statement),
        )
        for item in replaced
    )
    failures: tuple[Failure, ...] = ()
    supersessions: tuple[Supersession, ...] = ()
    if isinstance(predicate, Result) and predicate.result == FAILED:
        failures = _failures(statement.subject.digest.sha256, digest, predicate)
    if isinstance(predicate, Manifest) and predicate.supersedes is not None:
        supersessions = (Supersession(predicate.supersedes.sha256, digest),)
    return replace(
        known,
        entries=_united(known.entries, entries),
        failures=_united(known.failures, failures),
        supersessions=_united(known.supersessions, supersessions),
    )


def _about(
    tested: TestedModel, withdrawals: WithdrawalsDocument, result: str
) -> WithdrawalsDocument:
    """State of the failures of a result which model was tested."""
    stated = tuple(
        replace(each, artifact=tested.artifact, model=tested.model, run=tested.run)
        if each.result == result
        else each
        for each in withdrawals.failures
    )
    return replace(withdrawals, failures=tuple(dict.fromkeys(stated)))


def _united(known: tuple[T, ...], more: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*known, *more)))


def _failures(manifest: str, digest: str, result: Result) -> tuple[Failure, ...]:
    """Return the suites of a FAILED result that are below their threshold; all, if none is."""
    below = [s for s in result.configuration if s.annotations.score < s.annotations.threshold]
    return tuple(
        Failure(
            manifest,
            suite.digest.sha256,
            digest,
            f"{suite.name}: score {suite.annotations.score:g}, "
            f"threshold {suite.annotations.threshold:g}",
        )
        for suite in (below or result.configuration)
    )


def sign_payload(
    opened: OpenHome,
    predicate_type: str,
    payload: bytes,
    kept: Sequence[Mapping[str, object]],
    now: datetime,
) -> bytes:
    """Return an envelope over ``payload``: the signatures in ``kept``, then this authority's.

    Raises:
        AuthorityError: The key is not valid now, may not sign this predicate type, or fails.
    """
    held = opened.settings.keys[ATTESTATION]
    _check_key(opened.document, held, predicate_type, now)
    signature = keys.sign(
        keys.signer(opened.path, ATTESTATION, held), dsse.pae(dsse.PAYLOAD_TYPE, payload)
    )
    own = {
        "keyid": "",
        dsse.HINT: held.fingerprint(),
        "sig": base64.b64encode(bytes.fromhex(signature.signature)).decode("ascii"),
    }
    value = {
        "payload": base64.b64encode(payload).decode("ascii"),
        "payloadType": dsse.PAYLOAD_TYPE,
        "signatures": [*kept, own],
    }
    envelope = json.dumps(value, indent=1).encode("ascii") + b"\n"
    if not dsse.verified_by(dsse.parse(envelope), [PublicKey.from_pem(held.pem)]):
        raise AuthorityError(f"the signature by {held.uri} does not verify; nothing was written")
    return envelope


def _check_key(document: AuthorityDocument, held: HeldKey, kind: str, now: datetime) -> None:
    for key in document.keys:
        if key.public_key().fingerprint == held.fingerprint():
            if kind not in key.predicate_types:
                raise AuthorityError(
                    f"the attestation key may not sign {kind}; it may sign "
                    f"{', '.join(key.predicate_types)}"
                )
            if not key.active or not key.window.holds(now):
                raise AuthorityError(
                    "the attestation key is outside its window; "
                    "rotate it: admit authority rotate attestation"
                )
            return
    raise AuthorityError(
        "authority.json lists another attestation key than authority.yaml; restore authority.yaml, "
        "or publish a new key: admit authority rotate attestation"
    )
