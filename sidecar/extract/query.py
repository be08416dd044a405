"""Parses the query of a request, decoding keys and values exactly once.

Where a key could choose what is run, the query has only the keys of the operation's row. Where the
operation only reads, SDKs send more than any table has (``include[]=``, ``metadata[key]=``,
filters), in several spellings; there, a key is refused only if its name could name a model.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from sidecar.core.reasons import AdmissibilityError
from sidecar.core.refusals import ambiguous, malformed
from sidecar.core.strict_json import fold
from sidecar.providers.json_paths import FoundValue, Meaning, Role
from sidecar.providers.operation import Operation
from sidecar.providers.overrides import key_overrides

MAX_PAIRS = 128
_VALUE = re.compile(r"[A-Za-z0-9._:@,-]{0,512}")
_ENCODED = re.compile(r"(?:[A-Za-z0-9._~:@,*()!'$/?+\[\]=-]|%[0-9A-Fa-f]{2}){0,4096}")
_VERSION = re.compile(r"v1|latest|preview|\d{4}-\d{2}-\d{2}(?:-preview)?")
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}(?:\[[^\[\]]{0,64}\]){0,4}")
_MAX_PARTS = 8
"""Most parts of a key that are looked at; a key of more is refused."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NAMING = frozenset({"model", "deployment"})
_OWN_DATA = "metadata"
_NAMES_A_MODEL = "the query names a model where this operation reads none"


def queried(operation: Operation, query: str) -> list[FoundValue]:
    """Return the values of the row's keys.

    Args:
        operation: The row.
        query: What follows the question mark, as sent.

    Raises:
        AdmissibilityError: ``ambiguous_model`` for a key that could name a model, or one of the
            row's keys twice; ``malformed_request`` for another key that the row does not have, or
            outside the grammar.
    """
    if not query and operation.only_reads:
        return []
    found: dict[str, FoundValue] = {}
    pairs = query.split("&")
    if len(pairs) > MAX_PAIRS:
        raise malformed(f"the query has more than {MAX_PAIRS} keys")
    for pair in pairs:
        sent, _, value = pair.partition("=")
        key = _decoded(sent)
        role = operation.query.get(key)
        if role is None or (role is Role.WORD and operation.only_reads):
            _check_harmless(operation, query, key, value)
            continue
        if key in found:
            raise ambiguous(f"the query has {key} twice")
        found[key] = FoundValue(role, _plain(role, key, value), f"{key} in the query")
    return list(found.values())


def _decoded(key: str) -> str:
    """Return a key, of which brackets alone may be encoded."""
    for encoded, plain in (("%5B", "["), ("%5b", "["), ("%5D", "]"), ("%5d", "]")):
        key = key.replace(encoded, plain)
    return key


def _check_harmless(operation: Operation, query: str, key: str, value: str) -> None:
    """Refuse a key or value outside the row, unless the operation only reads."""
    if key not in operation.query and (not operation.only_reads or _names_a_model(key)):
        raise _unknown_key(operation, query)
    if key not in operation.query and not _KEY.fullmatch(key):
        raise _unknown_key(operation, query)
    if not _ENCODED.fullmatch(value) and _any_names_a_model(query):
        raise ambiguous(_NAMES_A_MODEL)
    decoded = unquote_plus(value, errors="replace")
    if not _ENCODED.fullmatch(value) or _CONTROL.search(decoded) or "\ufffd" in decoded:
        raise malformed(
            f"{key[:64]} in the query must be percent-encoded UTF-8 without control characters,"
            " of at most 4096 characters"
        )


def _names_a_model(key: str) -> bool:
    """Return whether a key, or a part of it in brackets, could name a model."""
    name, *parts = re.split(r"[\[\]]+", key, maxsplit=_MAX_PARTS)
    inside = [] if name == _OWN_DATA else parts
    return any(fold(part) in _NAMING or key_overrides(part) for part in (name, *inside) if part)


def _any_names_a_model(query: str) -> bool:
    """Return whether a key could name a model for an upstream that also splits at semicolons."""
    parts = re.split("[&;]", query, maxsplit=MAX_PAIRS)[:MAX_PAIRS]
    keys = (part.partition("=")[0] for part in parts)
    return any(_names_a_model(unquote_plus(key, errors="replace").strip()) for key in keys)


def _plain(role: Meaning, key: str, value: str) -> str:
    decoded = value.replace("%3A", ":").replace("%3a", ":")
    grammar = _VERSION if role is Role.VERSION else _VALUE
    if not grammar.fullmatch(decoded):
        allowed = (
            "v1, latest, preview or a date such as 2024-10-21"
            if role is Role.VERSION
            else "letters, digits and . _ : @ , -, unescaped"
        )
        raise malformed(f"{key} in the query may only be {allowed}")
    return decoded


def _unknown_key(operation: Operation, query: str) -> AdmissibilityError:
    """Return the refusal of a key that the row does not have."""
    if _any_names_a_model(query):
        return ambiguous(_NAMES_A_MODEL)
    if operation.only_reads:
        return malformed("a key of the query is not letters, digits, . _ - and parts in brackets")
    if not operation.query:
        return malformed("this operation takes no query")
    return malformed(f"the query may only have {', '.join(sorted(operation.query))}")
