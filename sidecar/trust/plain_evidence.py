"""Reads envelopes and statements as ``core`` does, in a third of the time where they are plain.

Nearly all evidence is short, without escapes, and has plain numbers. For such a text, the bytes
outside its strings show whether a fast parser returns what the strict one would; for a text that
differs from an earlier one only in its strings, this is known already (``text_shapes``). Every
other text is left to ``core``, and so is every refusal.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Callable
from typing import Any

import jiter

from sidecar.core import dsse, strict_json
from sidecar.core.dsse import Envelope
from sidecar.core.evidence import (
    STATEMENT_TYPE,
    Statement,
    parse_statement,
    plain_reader,
    plain_statement,
)
from sidecar.core.predicates import Predicate
from sidecar.core.wire import read_plain
from sidecar.trust.text_shapes import Shapes, names, place

_FIELDS = {"payload", "payloadType", "signatures"}
_SIGNATURE_FIELDS = {"sig", "keyid", dsse.HINT}
_HINTS = (b"keyid", dsse.HINT.encode())
_SEPARATOR = b'"'
_DIGITS = b"0123456789"
_OTHER = bytes({*range(256)} - {*b"0123456789.eE-,"})
"""Bytes that occur in no number, without the comma, which alone can separate two numbers."""
_UNUSUAL = re.compile(rb"-0|[0-9](?:[eE]|[0-9]{14}|\.0*(?:[^0-9]|$))")
"""Any number that may be out of range or that RFC 8785 writes otherwise."""

_Places = tuple[int, int, list[int]]
"""Where, in the text of an envelope, the payload, the one signature and its hints are."""
_ENVELOPES: Shapes[_Places] = Shapes()
_STATEMENTS: Shapes[Callable[[bytes], Statement[Predicate] | None]] = Shapes()


def read_envelope(data: bytes) -> Envelope:
    """Split an envelope file.

    Raises:
        EvidenceError: As ``dsse.parse``.
    """
    parts = _parts(data)
    shape = _SEPARATOR.join(parts[::2])
    places = _ENVELOPES.find(shape, parts)
    found = None if places is None else _split(parts, places)
    if found is None:
        found = _envelope(data)
        if found is None:
            return dsse.parse(data)
        if parts:
            _learn_envelope(shape, parts)
    return found


def read_statement(payload: bytes) -> Statement[Predicate]:
    """Parse the payload of an envelope whose signature was verified.

    Raises:
        EvidenceError: As ``parse_statement``.
    """
    parts = _parts(payload)
    outside = _SEPARATOR.join(parts[::2])
    # Digits are no part of the shape: they are looked at here, and their form by the parser.
    shape = outside.translate(None, _DIGITS)
    read = _STATEMENTS.find(shape, parts)
    if read is not None:
        plain = len(shape) == len(outside) or _plain_numbers(outside)
        return (read(payload) if plain else None) or parse_statement(payload)
    found = _statement(payload)
    if found is None:
        return parse_statement(payload)
    values = [place(parts, name) for name in (b"_type", b"predicateType")]
    if all(values):
        _STATEMENTS.learn(shape, parts, plain_reader(found.predicate_type), values)
    return found


def _parts(data: bytes) -> list[bytes]:
    """Split a short text without escapes at its quotes; every other part is a string."""
    if len(data) > strict_json.MAX_CONTAINERS or b"\\" in data:
        return []
    return data.split(_SEPARATOR)


def _plain_numbers(outside: bytes) -> bool:
    """Return whether every number is in range and read as it is written."""
    return _UNUSUAL.search(outside.translate(None, _OTHER)) is None


def _learn_envelope(shape: bytes, parts: list[bytes]) -> None:
    """Note where the parts of an envelope with one signature are, for others like it."""
    payload, signature = place(parts, b"payload"), place(parts, b"sig")
    kind, hints = place(parts, b"payloadType"), [place(parts, name) for name in _HINTS]
    known = {*_FIELDS, *_SIGNATURE_FIELDS} >= {parts[at].decode() for at in names(parts)}
    if payload and signature and kind and known:
        _ENVELOPES.learn(shape, parts, (payload, signature, [at for at in hints if at]), [kind])


def _split(parts: list[bytes], places: _Places) -> Envelope | None:
    """Return an envelope from its parts; ``None`` where a string may be none of JSON's."""
    at, sig, hints = places
    try:
        payload, signature = _bytes(parts[at]), _bytes(parts[sig])
        texts = [parts[hint].decode("ascii") for hint in hints]
    except ValueError:
        return None
    if not "".join(texts).isprintable():
        return None
    key_ids = frozenset(filter(None, texts))
    return Envelope(payload, (signature,), hashlib.sha256(payload).hexdigest(), key_ids)


def _object(data: bytes) -> dict[str, Any]:
    """Return a plain JSON object; an empty one where the strict parser has to look."""
    # A text of this length cannot exceed the limit of parts.
    if len(data) > strict_json.MAX_CONTAINERS:
        return {}
    outside = strict_json.outside_strings(data)
    if (
        outside is None
        or outside.count(b"{") + outside.count(b"[") > strict_json.MAX_DEPTH
        or not _plain_numbers(outside)
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


def _bytes(text: str | bytes) -> bytes:
    """Decode standard base64; raises ``ValueError`` for the other alphabet, and for nothing."""
    if not text:
        raise ValueError("empty")
    return binascii.a2b_base64(text, strict_mode=True)


def _statement(payload: bytes) -> Statement[Predicate] | None:
    value = _object(payload)
    if value.get("_type") != STATEMENT_TYPE:
        return None
    return plain_statement(payload, value, read_plain)
