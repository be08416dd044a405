"""Renews this authority's own signature on evidence whose payload stays the same.

After a rotation of the attestation key, what still holds is re-signed: the payload bytes, and so
the digest that others approved, and everybody else's signatures, stay as they are. Only what the
home has a record of is signed: a folder may hold what a thief of the old key made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sidecar.authority import journal, records
from sidecar.authority.errors import AuthorityError
from sidecar.authority.open_home import Home, OpenHome, locked_home
from sidecar.authority.signing import sign_payload
from sidecar.core import dsse, strict_json
from sidecar.core.evidence import Statement, parse_statement
from sidecar.core.keys import PublicKey
from sidecar.core.predicates import Predicate
from sidecar.core.reasons import EvidenceError
from sidecar.durable.files import write_atomically


class ResignOutcome(StrEnum):
    """What became of one file."""

    SIGNED = "signed"
    CURRENT = "signed by the current key already"
    FOREIGN = "not signed by this authority"
    UNRECORDED = "signed by a key of this authority, but not in its record"
    WITHDRAWN = "withdrawn by this authority"
    ENDED = "its window has ended"
    NO_EVIDENCE = "not evidence"


@dataclass(frozen=True, slots=True)
class Resigned:
    """One file, what became of it, and the digest of its payload where it is evidence."""

    path: Path
    outcome: ResignOutcome
    digest: str | None = None


def resign(
    home: Home, paths: Iterable[Path], now: datetime, *, unrecorded: bool = False
) -> tuple[Resigned, ...]:
    """Replace this authority's signature in each file by one of its current key.

    Args:
        home: The authority's home.
        paths: Files of evidence, each rewritten in one rename.
        now: Aware.
        unrecorded: Sign what the home has no record of as well.

    Returns:
        What became of each file, in order. A file that was not signed is unchanged.

    Raises:
        AuthorityError: A file cannot be read or written, or the key cannot be used. Files before
            it are signed; running the command again goes on.
    """
    done = []
    with locked_home(home.path) as opened:
        for path in paths:
            try:
                data = path.read_bytes()
                outcome, digest, envelope = _resigned(opened, data, now, unrecorded=unrecorded)
                if envelope is not None:
                    write_atomically(path, envelope, mode=path.stat().st_mode & 0o777)
            except OSError as error:
                raise AuthorityError(f"{path}: {error.strerror}") from error
            done.append(Resigned(path, outcome, digest))
    return tuple(done)


def _resigned(
    opened: OpenHome, data: bytes, now: datetime, *, unrecorded: bool
) -> tuple[ResignOutcome, str | None, bytes | None]:
    try:
        envelope = dsse.parse(data)
        statement = parse_statement(envelope.payload)
    except EvidenceError:
        return ResignOutcome.NO_EVIDENCE, None, None
    outcome = _outcome(opened, envelope, statement, now, unrecorded=unrecorded)
    if outcome is not ResignOutcome.SIGNED:
        return outcome, envelope.digest, None
    kept = _others(opened, data, envelope)
    signed = sign_payload(opened, statement.predicate_type, envelope.payload, kept, now)
    if len(kept) >= dsse.MAX_SIGNATURES:
        raise AuthorityError(f"{envelope.digest} has {len(kept)} signatures of others: too many")
    journal.commit(opened.path, [records.write(statement, envelope.digest, signed)])
    return outcome, envelope.digest, signed


def _outcome(
    opened: OpenHome,
    envelope: dsse.Envelope,
    statement: Statement[Predicate],
    now: datetime,
    *,
    unrecorded: bool,
) -> ResignOutcome:
    own = [key.public_key() for key in opened.document.keys]
    signed = dsse.verified_by(envelope, own)
    current = PublicKey.from_pem(opened.settings.keys["attestation"].pem).fingerprint
    recorded = records.find(opened.path, envelope.digest) is not None
    if not signed:
        return ResignOutcome.FOREIGN
    if signed == {current}:
        return ResignOutcome.CURRENT
    if not recorded and not unrecorded:
        return ResignOutcome.UNRECORDED
    if any(e.subject == envelope.digest for e in opened.withdrawals.entries if e.in_effect(now)):
        return ResignOutcome.WITHDRAWN
    if statement.predicate.window.not_after <= now:
        return ResignOutcome.ENDED
    return ResignOutcome.SIGNED


def _others(opened: OpenHome, data: bytes, envelope: dsse.Envelope) -> list[dict[str, Any]]:
    """Return the signatures that no key of this authority made, as they are written in the file."""
    own = [key.public_key() for key in opened.document.keys]
    message = dsse.pae(dsse.PAYLOAD_TYPE, envelope.payload)
    entries = strict_json.loads_object(data, max_bytes=dsse.MAX_ENVELOPE_BYTES)["signatures"]
    return [
        entry
        for entry, signature in zip(entries, envelope.signatures, strict=True)
        if not any(key.verifies(signature, message) for key in own)
    ]


def count_to_resign(opened: OpenHome, now: datetime) -> int:
    """Count the recorded statements that still hold and lack a signature by the current key."""
    current = PublicKey.from_pem(opened.settings.keys["attestation"].pem)
    withdrawn = {e.subject for e in opened.withdrawals.entries if e.in_effect(now)}
    count = 0
    for path in (opened.path / records.FOLDER).glob(f"*/*/*{records.SUFFIX}"):
        envelope = dsse.parse(path.read_bytes())
        holds = parse_statement(envelope.payload).predicate.window.not_after > now
        if holds and envelope.digest not in withdrawn and not dsse.verified_by(envelope, [current]):
            count += 1
    return count
