"""Defines the status that a gate signs, as a DSSE envelope, and verifies one.

A status is no evidence: its payload type is another, so neither can be taken for the other. That a
withdrawal is in force follows from versions and content and not from clocks: an authority's
timestamp version only grows, so a status with version n was signed after n was published, whatever
its time is. The digest of ``withdrawals.json`` shows that it is a version of the same repository:
one that was made again, or is another of this name, counts its versions by itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from sidecar.core import dsse, strict_json
from sidecar.core.keys import PublicKey
from sidecar.core.reasons import EvidenceError

STATUS_TYPE = "application/vnd.admissibility.gate-status+json"
MAX_STATUS_BYTES = 1 << 20

_Text = Annotated[str, Field(max_length=1024)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=False)


class AuthorityInForce(_Frozen):
    """An authority as the gate's trust state has it.

    Attributes:
        name: As the operator calls it.
        version: Of its TUF timestamp.
        heard_since_start: Whether it was heard since the gate started.
        withdrawals: Hex SHA-256 of its ``withdrawals.json``; empty in a status of an earlier
            release.
    """

    name: _Text
    version: Annotated[int, Field(ge=0, strict=True)]
    heard_since_start: bool
    withdrawals: Annotated[str, Field(max_length=64)] = ""


class GateStatement(_Frozen):
    """What a gate states about itself.

    Attributes:
        gate: ``gate_name`` of its configuration.
        instance: Random, of one start of the gate.
        time: The gate's clock.
        nonce: As the reader gave it; empty in a published file.
        epoch: Of the trust state in force; 0 before the first.
        release: Version of the software.
        revision: Of the policies.
        ready: Whether requests are decided.
        clock_problem: Why the clock is unreliable; empty if it is not.
        authorities: Those in the trust state.
        public_key: PEM of the key that signs; believed only where it is pinned.
    """

    type: Literal["urn:admissibility:gate-status:v1"]
    gate: _Text
    instance: _Text
    time: AwareDatetime
    nonce: _Text
    epoch: Annotated[int, Field(ge=0, strict=True)]
    release: _Text
    revision: _Text
    ready: bool
    clock_problem: _Text
    authorities: Annotated[tuple[AuthorityInForce, ...], Field(max_length=4096)]
    public_key: Annotated[str, Field(max_length=8192)]

    def of(self, authority: str) -> AuthorityInForce | None:
        """Return what is in force of an authority; ``None`` if it is not followed."""
        return next((each for each in self.authorities if each.name == authority), None)


def signed(statement: GateStatement, key: PublicKey, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the DSSE envelope of a statement.

    Args:
        statement: The payload.
        key: Its fingerprint is written as a hint.
        sign: Signs bytes with that key.
    """
    payload = statement.model_dump_json().encode()
    signature = sign(dsse.pae(STATUS_TYPE, payload))
    entry = {"keyid": "", dsse.HINT: key.fingerprint, "sig": _text(signature)}
    value = {"payloadType": STATUS_TYPE, "payload": _text(payload), "signatures": [entry]}
    return json.dumps(value).encode() + b"\n"


def verified_status(data: bytes, key: PublicKey) -> GateStatement:
    """Return the statement in an envelope that ``key`` signed.

    Raises:
        EvidenceError: No such envelope, another key's, or a payload of another shape.
    """
    envelope = dsse.parse(data, STATUS_TYPE)
    if not dsse.verified_by(envelope, (key,), STATUS_TYPE):
        raise EvidenceError(f"the status is not signed with the pinned key {key.fingerprint}")
    return _parsed(envelope.payload)


def first_seen(data: bytes) -> tuple[GateStatement, PublicKey]:
    """Return a statement and the key that it names and is signed with, to be pinned.

    Raises:
        EvidenceError: No such envelope, or not signed with the key that it names.
    """
    claimed = _parsed(dsse.parse(data, STATUS_TYPE).payload)
    key = PublicKey.from_pem(claimed.public_key)
    return verified_status(data, key), key


def _parsed(payload: bytes) -> GateStatement:
    try:
        return GateStatement.model_validate(
            strict_json.loads_object(payload, max_bytes=MAX_STATUS_BYTES)
        )
    except (strict_json.StrictJsonError, ValidationError) as error:
        text = " ".join(str(error).split())[:200]
        raise EvidenceError(f"the status has another shape: {text}") from error


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
