"""Splits DSSE envelopes, and verifies which keys signed exactly their payload's bytes.

``parse`` only splits the envelope; ``verified_by`` returns the keys that signed its payload. The
payload is not parsed here (DSSE v1.0.2, protocol.md).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sidecar.core import strict_json
from sidecar.core.keys import PublicKey
from sidecar.core.reasons import EvidenceError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES = 1 << 20
MAX_SIGNATURES = 16
HINT = "fingerprint"
"""Field of a signature that holds its key's fingerprint: a hint, as ``keyid`` is.

``keyid`` is written empty: a library that selects keys by it derives ids of its own (Go's
securesystemslib skips a signature with any other id), and has to try its keys
where there is none. DSSE lets a producer add fields (envelope.md, "Parsing rules").
"""

_FIELDS = strict_json.folded(("payload", "payloadType", "signatures"))
_SIGNATURE_FIELDS = strict_json.folded(("sig", "keyid"))


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope that was split, not believed.

    Attributes:
        payload: The payload bytes, exactly as signed.
        signatures: Raw signature bytes, in order.
        digest: Lower-case hex SHA-256 of ``payload``: the identity of the evidence.
        key_ids: ``keyid`` and ``fingerprint`` of each signature: hints which keys to try first,
            nothing more.
    """

    payload: bytes
    signatures: tuple[bytes, ...]
    digest: str
    key_ids: frozenset[str] = frozenset()


def pae(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding: lengths count bytes, never characters (DSSE protocol.md)."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse(data: bytes, payload_type: str = PAYLOAD_TYPE) -> Envelope:
    """Split the JSON form of an envelope.

    Args:
        data: The file's bytes, at most ``MAX_ENVELOPE_BYTES``.
        payload_type: What the envelope must say that it holds, exactly.

    Raises:
        EvidenceError: Not strict JSON, another ``payloadType``, bad base64, or a number of
            signatures outside 1 … ``MAX_SIGNATURES``.
    """
    try:
        value = strict_json.loads_object(data, max_bytes=MAX_ENVELOPE_BYTES)
    except strict_json.StrictJsonError as error:
        raise EvidenceError(f"envelope: {error}") from error
    _refuse_twins(value)
    if value.get("payloadType") != payload_type:
        raise EvidenceError(
            f"envelope: {_other_file(value)}payloadType is not exactly {payload_type}"
        )
    signatures = value.get("signatures")
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
        raise EvidenceError(f"envelope: needs 1 to {MAX_SIGNATURES} signatures")
    payload = _base64(value.get("payload"), "payload")
    raw = tuple(_base64(_sig(entry), "signature") for entry in signatures)
    hints = (entry.get(name) for entry in signatures for name in ("keyid", HINT))
    key_ids = frozenset(found for found in hints if isinstance(found, str) and found)
    return Envelope(payload, raw, hashlib.sha256(payload).hexdigest(), key_ids)


def verified_by(
    envelope: Envelope, keys: Iterable[PublicKey], payload_type: str = PAYLOAD_TYPE
) -> frozenset[str]:
    """Return the fingerprints of those of ``keys`` that signed the payload as ``payload_type``.

    A set of fingerprints, so that neither a repeated signature nor a repeated key counts twice.
    """
    message = pae(payload_type, envelope.payload)
    return frozenset(
        key.fingerprint
        for key in keys
        if any(key.verifies(signature, message) for signature in envelope.signatures)
    )


def _refuse_twins(value: dict[str, Any]) -> None:
    """Refuse names that a parser which folds case would take for the envelope's own."""
    entries = value.get("signatures")
    try:
        strict_json.refuse_twins_of(value, _FIELDS)
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                strict_json.refuse_twins_of(entry, _SIGNATURE_FIELDS)
    except strict_json.StrictJsonError as error:
        raise EvidenceError(f"envelope: {error}") from error


def _other_file(value: dict[str, Any]) -> str:
    """Name the kind of a JSON file that is no envelope; empty if it may be one."""
    for name, meaning in (
        ("dsseEnvelope", "this is a Sigstore bundle (take its dsseEnvelope): "),
        ("predicateType", "this is an unsigned statement: "),
        ("signed", "this is TUF metadata: "),
        ("kty", "this is a JWK: "),
    ):
        if name in value and "payloadType" not in value:
            return meaning
    return ""


def _sig(entry: Any) -> Any:  # noqa: ANN401 - whatever the envelope holds
    return entry.get("sig") if isinstance(entry, dict) else None


def _base64(text: Any, what: str) -> bytes:  # noqa: ANN401 - whatever the envelope holds
    """Decode standard or URL-safe base64; DSSE allows both alphabets, but not a mixture."""
    if not isinstance(text, str) or not text:
        raise EvidenceError(f"envelope: {what} is missing")
    url_safe = "-" in text or "_" in text
    try:
        # With ``altchars`` the decoder would accept the standard alphabet as well.
        if url_safe and ("+" in text or "/" in text):
            raise EvidenceError(f"envelope: {what} mixes two base64 alphabets")
        return base64.b64decode(text, altchars=b"-_" if url_safe else b"+/", validate=True)
    except (binascii.Error, ValueError) as error:
        raise EvidenceError(f"envelope: {what} is not base64") from error
