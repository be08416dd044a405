"""Read envelopes and statements as ``core`` does, in half the time where they are plain.

Nearly all evidence is short, without escapes, and has plain numbers. Of such a text one look at
what is outside its strings shows that a fast parser reads what the strict one does. Whatever is not
plainly so is left to ``core``, and so is every refusal.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from typing import Any

import jiter

from sidecar.core import dsse, strict_json
from sidecar.core.dsse import Envelope
from sidecar.core.evidence import STATEMENT_TYPE, Statement, parse_statement, plain_statement
from sidecar.core.predicates import Predicate
from sidecar.core.wire import read_plain

_FIELDS = {"payload", "payloadType", "signatures"}
_SIGNATURE_FIELDS = {"sig", "keyid", dsse.HINT}
_UNUSUAL_NUMBER = re.compile(rb"-0|[0-9](?:[eE]|[0-9]{14}|\.0*[^0-9])")
"""Any number, outside strings, that may be out of range or that RFC 8785 writes otherwise."""


def read_envelope(data: bytes) -> Envelope:
    """Split an envelope file.

    Raises:
        EvidenceError: As ``dsse.parse``.
    """
    return _envelope(data) or dsse.parse(data)


def read_statement(payload: bytes) -> Statement[Predicate]:
    """Parse the payload of an envelope whose signature was verified.

    Raises:
        EvidenceError: As ``parse_statement``.
    """
    return _statement(payload) or parse_statement(payload)


def _object(data: bytes) -> dict[str, Any]:
    """Return a plain JSON object; an empty one where the strict parser has to look."""
    # Of this length it has no more parts than are read.
    if len(data) > strict_json.MAX_CONTAINERS:
        return {}
    outside = strict_json.outside_strings(data)
    if (
        outside is None
        or outside.count(b"{") + outside.count(b"[") > strict_json.MAX_DEPTH
        or _UNUSUAL_NUMBER.search(outside) is not None
    ):
        return {}
    try:
        value = jiter.from_json(
            data, allow_inf_nan=False, cache_mode="keys", catch_duplicate_keys=True
        )
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _envelope(data: bytes) -> Envelope | None:
    value = _object(data)
    signatures = value.get("signatures")
    if (
        value.get("payloadType") != dsse.PAYLOAD_TYPE
        or not isinstance(signatures, list)
        or not 1 <= len(signatures) <= dsse.MAX_SIGNATURES
        or not value.keys() <= _FIELDS
    ):
        return None
    try:
        payload = _bytes(value["payload"])
        raw = tuple(_bytes(entry["sig"]) for entry in signatures)
        if not all(entry.keys() <= _SIGNATURE_FIELDS for entry in signatures):
            return None
    except (KeyError, TypeError, ValueError):
        return None
    hints = (entry.get(name) for entry in signatures for name in ("keyid", dsse.HINT))
    key_ids = frozenset(found for found in hints if isinstance(found, str) and found)
    return Envelope(payload, raw, hashlib.sha256(payload).hexdigest(), key_ids)


def _bytes(text: str) -> bytes:
    """Decode standard base64; raises ``ValueError`` for the other alphabet, and for nothing."""
    if not text:
        raise ValueError("empty")
    return binascii.a2b_base64(text, strict_mode=True)


def _statement(payload: bytes) -> Statement[Predicate] | None:
    value = _object(payload)
    if value.get("_type") != STATEMENT_TYPE:
        return None
    return plain_statement(payload, value, read_plain)
