"""Reads and writes signed documents: strict JSON, then strict types, then frozen values.

One set of dataclasses serves the wire and the code: ``WIRE`` makes pydantic read and write them in
camelCase, without coercion, ignoring unknown fields. A document that depends on a field older
readers do not know lists its name under ``critical``, and is refused by them. So is one with a twin
of a field's name, which a parser that folds case would read as that field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, TypeVar, get_origin

import rfc8785
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from sidecar.core import strict_json
from sidecar.core.reasons import EvidenceError

T = TypeVar("T")

WIRE = ConfigDict(alias_generator=to_camel, strict=True, extra="ignore")

Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=512)]
Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=256)]


@dataclass(frozen=True, slots=True)
class DigestSet:
    """An in-toto DigestSet of which only ``sha256`` (lower-case hex) is read."""

    __pydantic_config__: ClassVar[ConfigDict] = WIRE

    sha256: Hex64


def read(kind: type[T], data: bytes, *, max_bytes: int, what: str) -> T:
    """Read ``data`` as a ``kind``.

    Args:
        kind: A dataclass with ``WIRE`` as its pydantic configuration.
        data: JSON bytes.
        max_bytes: Size cap in bytes.
        what: Name of the document in errors.

    Raises:
        EvidenceError: Not strict JSON, or not such a document; names the field and the rule.
    """
    try:
        value = strict_json.loads_object(data, max_bytes=max_bytes)
    except strict_json.StrictJsonError as error:
        raise EvidenceError(f"{what}: {error}") from error
    if "critical" not in value and (found := read_directly(kind, data)) is not None:
        return found
    return read_value(kind, value, what=what)


def read_value(kind: type[T], value: Mapping[str, Any], *, what: str) -> T:
    """Like ``read``, from an object that was already parsed strictly."""
    _refuse_unknown_critical(kind, value, what)
    try:
        # Through JSON once more: only there do strict types accept arrays and RFC 3339 times.
        text = _canonical_values(dict(value))
        try:
            return _adapter(kind).validate_json(text, extra="forbid")
        except ValidationError as unknown:
            _refuse_twins(kind, unknown, what)
        return _adapter(kind).validate_json(text)
    except ValidationError as error:
        raise EvidenceError(f"{what}: {first_fault(error)}") from error
    except rfc8785.CanonicalizationError as error:
        raise EvidenceError(f"{what}: {error}") from error


_WRITTEN_OTHERWISE = re.compile(
    r"[:\[,]-?(?:[0-9]{16}|[0-9]+(?:\.0*[\],}]|\.?[0-9]*[eE])|(?<=-)0)|[\U0000e000-\U0010ffff]"
)
"""What ``json`` may write otherwise than RFC 8785 does, or RFC 8785 refuses; in strings, too."""


_DIGIT = re.compile(rb"[0-9]")
_READ_OTHERWISE = re.compile(
    rb"[:\[,][ \t\r\n]*-?(?:(?<=-)0|[0-9]{16}|[0-9]+(?:[eE]|\.(?:0*[^0-9]|[0-9]{15}|[0-9]*[eE])))"
)
"""Numbers that are read otherwise once they are written as RFC 8785 does."""


def read_directly(kind: type[T], data: bytes) -> T | None:
    """Read a ``kind`` from JSON that was parsed strictly, without writing it canonically first.

    Returns:
        The same as ``read_value`` would; ``None`` where that may differ, or would raise. So it is
        where there is a field that is not known.
    """
    outside = strict_json.outside_strings(data)
    text = data if outside is None else outside
    # Most documents have no number, and looking at each place where one may be takes longer.
    if _DIGIT.search(text) is not None and _READ_OTHERWISE.search(text) is not None:
        return None
    return read_plain(kind, data)


def read_plain(kind: type[T], data: bytes) -> T | None:
    """Like ``read_directly``, where numbers are known to be read as they are written."""
    return plain_reader(kind)(data)


def plain_reader(kind: type[T]) -> Callable[[bytes], T | None]:
    """Return a function that reads a ``kind`` as ``read_plain`` does."""
    validate = _adapter(kind).validator.validate_json

    def read(data: bytes) -> T | None:
        try:
            found: T = validate(data, extra="forbid")
        except ValidationError:
            return None
        return found

    return read


def _canonical_values(value: dict[str, Any]) -> str | bytes:
    """Write JSON values as RFC 8785 does; ten times as fast where numbers are plain."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text if _WRITTEN_OTHERWISE.search(text) is None else rfc8785.dumps(value)


def first_fault(error: ValidationError, *, whole: str = "document") -> str:
    """Return the first fault that pydantic found, as ``place: message``.

    Args:
        error: Of a validation.
        whole: Names the place of a fault that belongs to no single field.
    """
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or whole
    return f"{place}: {fault_message(first)}"


def fault_message(fault: ErrorDetails) -> str:
    """Return the message of one of pydantic's faults, alike on every version of Python."""
    # For a path pydantic names the class, which differs between versions of Python.
    return "Input should be a path" if fault["type"] == "path_type" else fault["msg"]


def plain(value: object) -> Any:  # noqa: ANN401 - JSON is any value
    """Turn a document into JSON values in wire form, without absent optional fields."""
    return _adapter(type(value)).dump_python(value, mode="json", by_alias=True, exclude_none=True)


def canonical(value: Any) -> bytes:  # noqa: ANN401 - JSON is any value
    """Write JSON values as RFC 8785 canonical JSON."""
    return rfc8785.dumps(value)


def write(value: object) -> bytes:
    """Write a document as RFC 8785 canonical JSON."""
    return canonical(plain(value))


def dump(value: object) -> bytes:
    """Write a document as JSON that nothing is signed over; ten times as fast as ``write``."""
    return _adapter(type(value)).dump_json(value, by_alias=True, exclude_none=True)


def load(kind: type[T], data: bytes) -> T:
    """Read what ``dump`` wrote: it was verified before, and is not judged again.

    Raises:
        ValueError: It is not such a document.
    """
    return _adapter(kind).validate_json(data)


def _refuse_unknown_critical(kind: type[Any], value: Mapping[str, Any], what: str) -> None:
    critical = value.get("critical", [])
    if not isinstance(critical, list):
        raise EvidenceError(f"{what}: critical is not a list of names")
    known = (
        {to_camel(each.name) for each in fields(get_origin(kind) or kind)} if critical else set()
    )
    for name in critical:
        if name not in known:
            raise EvidenceError(f"{what}: the critical field {name!r} is not understood")


def _refuse_twins(kind: type[Any], unknown: ValidationError, what: str) -> None:
    """Refuse a field that is not known, and is one but for case or Unicode's compatible forms."""
    for fault in unknown.errors(include_url=False, include_context=False, include_input=False):
        if fault["type"] == _UNKNOWN_FIELD:
            name = str(fault["loc"][-1])
            known = _folded_names(kind).get(strict_json.fold(name), name)
            if known != name:
                raise EvidenceError(f"{what}: the field {name!r} is a twin of {known!r}")


def _folded_names(kind: type[Any]) -> dict[str, str]:
    """Return the names of all fields in a ``kind``, by their folded forms."""
    if kind not in _FOLDED:
        names = {"critical", *_properties(_adapter(kind).json_schema())}
        _FOLDED[kind] = strict_json.folded(names)
    return _FOLDED[kind]


def _properties(schema: Any) -> Iterator[str]:  # noqa: ANN401 - JSON is any value
    if isinstance(schema, dict):
        yield from schema.get("properties", ())
        for part in schema.values():
            yield from _properties(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from _properties(part)


_UNKNOWN_FIELD = "unexpected_keyword_argument"
_FOLDED: dict[type[Any], dict[str, str]] = {}
_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """Building an adapter costs a hundred times what using it does; the types are a handful."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
