"""Verification of one file of evidence: signature first, then the statement inside.

The result depends on nothing but the file's bytes and the keys that were tried, so it can be kept
for as long as the file is there; which authority holds a key, and what it may sign, is looked up
again in every trust state (``trust_state.advance``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.core import dsse
from sidecar.core.evidence import Statement, parse_statement
from sidecar.core.keys import PublicKey
from sidecar.core.predicates import Predicate
from sidecar.core.reasons import EvidenceError

UNKNOWN_SIGNER = "no key of a known authority signed it"


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """An envelope with at least one valid signature.

    Attributes:
        file_digest: Hex SHA-256 of the file.
        digest: Hex SHA-256 of the payload: the identity of what was signed.
        statement: The payload, parsed.
        fingerprints: Of the keys whose signature verified.
    """

    file_digest: str
    digest: str
    statement: Statement[Predicate]
    fingerprints: frozenset[str]


def verify_file(data: bytes, keys: Iterable[PublicKey]) -> VerifiedFile:
    """Try every key on an envelope file and parse what it holds.

    Raises:
        EvidenceError: It is no envelope, none of the keys signed it, or the payload is no statement
            of a known kind.
    """
    envelope = dsse.parse(data)
    fingerprints = dsse.verified_by(envelope, keys)
    if not fingerprints:
        raise EvidenceError(UNKNOWN_SIGNER)
    file_digest = hashlib.sha256(data).hexdigest()
    return VerifiedFile(
        file_digest, envelope.digest, parse_statement(envelope.payload), fingerprints
    )
