"""JSON as one value only: what two honest parsers could read differently is refused.

``json`` from the standard library takes NaN, byte-order marks, UTF-16, lone surrogates and the
last of several duplicate keys; other parsers take the first duplicate, or match keys without
regard to case. Evidence and request bodies are read by several parsers in turn, so everything on
which they could disagree is an error here (RFC 8259 §4, RFC 7493 I-JSON §2).
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

MAX_DEPTH = 64
"""Deepest nesting of arrays and objects that is read."""

MAX_DIGITS = 308
"""Longest run of digits in a number; more cannot survive IEEE 754 doubles."""

_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


class StrictJsonError(ValueError):
    """The bytes are not JSON that every parser reads the same way."""


def loads(data: bytes, *, max_bytes: int) -> Any:  # noqa: ANN401 - JSON is any value
    """Parse ``data`` as strict JSON.

    Args:
        data: The bytes; UTF-8 without byte-order mark.
        max_bytes: Size cap in bytes.

    Returns:
        ``dict``, ``list``, ``str``, ``int``, ``float``, ``bool`` or ``None``.

    Raises:
        StrictJsonError: Too large, not strict UTF-8, a duplicate key, NaN or an infinity, a lone
            surrogate, deeper than ``MAX_DEPTH``, or not JSON at all.
    """
    if len(data) > max_bytes:
        raise StrictJsonError(f"{len(data)} bytes, at most {max_bytes} are read")
    try:
        text = data.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise StrictJsonError("not UTF-8") from error
    if text.startswith("\ufeff"):
        raise StrictJsonError("begins with a byte-order mark")
    try:
        value = _DECODER.decode(text)
    except RecursionError as error:
        raise StrictJsonError(f"nested deeper than {MAX_DEPTH}") from error
    except json.JSONDecodeError as error:
        raise StrictJsonError(f"not JSON: {error.msg} at character {error.pos}") from error
    # Both walks cost more than the parse; most bodies cannot need either.
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        _check_depth(value)
    if _SURROGATE_ESCAPE.search(data):
        _check_surrogates(value)
    return value


def loads_object(data: bytes, *, max_bytes: int) -> dict[str, Any]:
    """Like ``loads``, and the value must be an object."""
    value = loads(data, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise StrictJsonError("not a JSON object")
    return value


def refuse_twins(mapping: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Refuse a key that some parser would take for one of ``keys``.

    Go's ``encoding/json`` folds case, and a proxy may normalise Unicode: ``Model`` or a full-width
    ``ｍodel`` beside (or instead of) ``model`` would let upstream read another value than we did.

    Raises:
        StrictJsonError: A twin is present.
    """
    wanted = {fold(key): key for key in keys}
    for key in mapping:
        exact = wanted.get(fold(key))
        if exact is not None and key != exact:
            raise StrictJsonError(f"the key {key!r} is a twin of {exact!r}")


def fold(key: str) -> str:
    """The form under which two keys count as twins: NFKC, case-folded."""
    return key if key.isascii() and key.islower() else unicodedata.normalize("NFKC", key).casefold()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise StrictJsonError("a key is given twice")
    return mapping


def _constant(name: str) -> Any:  # noqa: ANN401 - the signature json asks for
    raise StrictJsonError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise StrictJsonError(f"a number with more than {MAX_DIGITS} digits")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if len(digits) > MAX_DIGITS or not math.isfinite(value):
        raise StrictJsonError("a number out of range")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_constant,
    parse_int=_integer,
    parse_float=_float,
    strict=True,
)


def _check_depth(value: Any) -> None:  # noqa: ANN401 - JSON is any value
    level = _containers([value])
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        level = _containers(
            child for item in level for child in (item.values() if isinstance(item, dict) else item)
        )
    raise StrictJsonError(f"nested deeper than {MAX_DEPTH}")


def _containers(items: Iterable[Any]) -> list[Any]:
    return [item for item in items if isinstance(item, dict | list)]


def _check_surrogates(value: Any) -> None:  # noqa: ANN401 - JSON is any value
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            _encodable(item)
        elif isinstance(item, dict):
            stack.extend((*item.keys(), *item.values()))
        else:
            stack.extend(item if isinstance(item, list) else ())


def _encodable(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise StrictJsonError("a lone surrogate") from error
