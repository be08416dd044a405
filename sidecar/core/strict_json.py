"""Parses strict JSON: refuses any text that two parsers could read differently.

``json`` from the standard library takes NaN, byte-order marks, UTF-16, lone surrogates and the last
of several duplicate keys; other parsers take the first duplicate, or match keys without regard to
case. Evidence and request bodies are read by several parsers in turn, so everything on which they
could disagree is an error here (RFC 8259 §4, RFC 7493 I-JSON §2).

Reading is bounded in time as well. One long string costs next to nothing; what costs is structure,
so that is counted before anything is built, and no key is normalised that is longer than any we
read: canonical ordering (Unicode §3.11) takes quadratic time.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import jiter

MAX_DEPTH = 64
"""Deepest nesting of arrays and objects that is read."""

MAX_DIGITS = 308
"""Longest run of digits in a number; more cannot survive IEEE 754 doubles."""

MAX_CONTAINERS = 32_768
"""Most arrays and objects in one text."""

MAX_MEMBERS = 65_536
"""Most members of all objects in one text."""

MAX_ITEMS = 400_000
"""Most commas outside strings in one text: an embedding's input has up to 300,000 tokens."""

MAX_TWIN_CHARS = 32
"""Longest key beyond ASCII that is compared with ours; no place that is read has a longer one."""

_STRING = re.compile(rb'"[^"]*+"')
_SHAPE = bytes.maketrans(b"123456789E", b"000000000e")
_MANY_DIGITS = b"0" * 100
_BRACES = bytes.maketrans(b"[]", b"{}")
_NO_BRACES = bytes({*range(256)} - {*b"[]{}"})
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


class StrictJsonError(ValueError):
    """The bytes are not JSON that every parser reads alike."""


def loads(data: bytes, *, max_bytes: int) -> Any:  # noqa: ANN401 - JSON is any value
    """Parse ``data`` as strict JSON.

    Args:
        data: The bytes; UTF-8 without byte-order mark.
        max_bytes: Size cap in bytes.

    Returns:
        ``dict``, ``list``, ``str``, ``int``, ``float``, ``bool`` or ``None``.

    Raises:
        StrictJsonError: Too large, not strict UTF-8, a duplicate key, NaN or an infinity, a lone
            surrogate, deeper than ``MAX_DEPTH``, of too many parts, or not JSON at all.
    """
    if len(data) > max_bytes:
        raise StrictJsonError(f"{len(data)} bytes, at most {max_bytes} are read")
    _check_structure(data)
    try:
        value = _loads_plain(data)
    except ValueError:
        return _loads_any(data)
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        outside = outside_strings(data)
        if outside is None:
            _check_levels(value, surrogates=False)
        else:
            _check_depth(outside)
    return value


def outside_strings(data: bytes) -> bytes | None:
    """Return what of a JSON text is in no string; ``None`` where that takes a parser."""
    return None if b"\\" in data else b"".join(data.split(b'"')[::2])


def _loads_plain(data: bytes) -> Any:  # noqa: ANN401 - JSON is any value
    """Parse with ``jiter``, which is several times faster, and as strict except about numbers.

    Without a run of 100 digits and an exponent of three, every number is finite, and shorter than
    ``MAX_DIGITS``. Text in a string may look like one, as parts of a digest do.

    Raises:
        ValueError: It is not JSON, or a number might be out of range.
    """
    shape = data.translate(_SHAPE)
    # Without escapes, quotes are where strings begin and end.
    if _out_of_range(shape) and (b"\\" in data or _out_of_range(_STRING.sub(b"", shape))):
        raise ValueError("a number that might be out of range")
    return jiter.from_json(data, allow_inf_nan=False, cache_mode="keys", catch_duplicate_keys=True)


def _out_of_range(shape: bytes) -> bool:
    """Tell whether some number might be out of range, by the shape of the text."""
    return _MANY_DIGITS in shape or b"0e000" in shape or b"0e+000" in shape


def _loads_any(data: bytes) -> Any:  # noqa: ANN401 - JSON is any value
    """Parse with ``json``, which names what is wrong."""
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
    # The walk costs more than the parse; most bodies cannot need it.
    escaped = _SURROGATE_ESCAPE.search(data) is not None
    if escaped or data.count(b"{") + data.count(b"[") > MAX_DEPTH:
        _check_levels(value, surrogates=escaped)
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
    refuse_twins_of(mapping, folded(keys))


def folded(keys: Iterable[str]) -> dict[str, str]:
    """Return the folded form of each key → the key, for ``refuse_twins_of``."""
    return {fold(key): key for key in keys}


def refuse_twins_of(keys: Iterable[str], wanted: Mapping[str, str]) -> None:
    """Like ``refuse_twins``, with keys that ``folded`` folded once for many mappings."""
    for key in keys:
        exact = wanted.get(fold(key))
        if exact is not None and key != exact:
            raise StrictJsonError(f"the key {key!r} is a twin of {exact!r}")


def fold(key: str) -> str:
    """Return the form under which two keys count as twins: NFKC, case-folded.

    A key whose form is not ASCII, as all of ours are, is no twin of them and stays as it is.
    Neither step makes anything shorter that ends as ASCII, and each takes a character by itself
    where all end so: characters beyond ASCII that compose with others do not. Normalising takes
    long over marks, and over characters of which it makes many; the first of them ends it.
    """
    if key.isascii():
        return key.lower()
    if len(key) > MAX_TWIN_CHARS:
        return key
    found = []
    for character in key:
        folded = _fold_character(character)
        if not folded:
            return key
        found.append(folded)
    return "".join(found)


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    """Return the form of one character; empty where that is not ASCII."""
    folded = unicodedata.normalize("NFKC", character).casefold()
    return folded if folded.isascii() else ""


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
    value = float(digits) if len(digits) <= MAX_DIGITS else math.inf
    if not math.isfinite(value):
        raise StrictJsonError("a number out of range")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_constant,
    parse_int=_integer,
    parse_float=_float,
    strict=True,
)


def _check_structure(data: bytes) -> None:
    """Refuse what would cost too much to build; text inside strings is free."""
    if len(data) <= MAX_CONTAINERS or _affordable(data):
        return
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    strings = data.count(b'"') // 2
    if strings > MAX_ITEMS + MAX_MEMBERS or not _affordable(_STRING.sub(b"", data)):
        raise StrictJsonError("more arrays, objects or values than are read")


def _affordable(data: bytes) -> bool:
    return (
        data.count(b",") <= MAX_ITEMS
        and data.count(b":") <= MAX_MEMBERS
        and data.count(b"[") + data.count(b"{") <= MAX_CONTAINERS
    )


def _check_depth(outside: bytes) -> None:
    """Refuse a text that is nested too deep, by what is outside its strings: JSON that was read."""
    braces = outside.translate(_BRACES, _NO_BRACES)
    for _ in range(MAX_DEPTH + 1):
        if not braces:
            return
        braces = braces.replace(b"{}", b"")  # the innermost level
    raise StrictJsonError(f"nested deeper than {MAX_DEPTH}")


def _check_levels(value: Any, *, surrogates: bool) -> None:  # noqa: ANN401 - JSON is any value
    """Walk down level by level, to the deepest allowed."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        if surrogates:
            _check_surrogates(level)
        level = [item for item in level if isinstance(item, dict | list)]
        if not level:
            return
        level = [child for item in level for child in _children(item)]
    raise StrictJsonError(f"nested deeper than {MAX_DEPTH}")


def _children(item: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return itertools.chain(item, item.values()) if isinstance(item, dict) else item


def _check_surrogates(level: list[Any]) -> None:
    try:
        "".join(item for item in level if isinstance(item, str)).encode("utf-8")
    except UnicodeEncodeError as error:
        raise StrictJsonError("a lone surrogate") from error
