"""Parses the header of a safetensors file: names, types and shapes of its tensors. Pure.

Format (documentation of ``safetensors``, "Format"): eight bytes with the header's length N
(little-endian), N bytes of JSON, and a byte buffer that the tensors fill without holes or overlap.
Unlike a pickle, reading it runs no code; what a lenient parser could read differently is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sidecar.binding.errors import BindingError
from sidecar.core import strict_json

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 32 << 20
"""The largest header that is read; the format's own limit is 100 MB, an adapter's has kilobytes."""

BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E4M3": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2": 8,
    "F8_E5M2FNUZ": 8,
    "F8_E8M0": 8,
    "U16": 16,
    "I16": 16,
    "F16": 16,
    "BF16": 16,
    "U32": 32,
    "I32": 32,
    "F32": 32,
    "U64": 64,
    "I64": 64,
    "F64": 64,
    "C64": 64,
}
"""Bits of one element, by dtype."""

_Count = Annotated[int, Field(ge=0)]


class _Entry(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    dtype: str
    shape: Annotated[list[_Count], Field(max_length=16)]
    data_offsets: Annotated[list[_Count], Field(min_length=2, max_length=2)]


_ENTRY = TypeAdapter(_Entry)
_METADATA = TypeAdapter(dict[str, str], config=ConfigDict(strict=True))


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor as the header describes it."""

    name: str
    dtype: str
    shape: tuple[int, ...]


def header_length(prefix: bytes, size: int, what: str) -> int:
    """Return the header's length N.

    Args:
        prefix: The first eight bytes of the file, or fewer if it has no more.
        size: Size of the whole file in bytes.
        what: Name of the file in errors.

    Raises:
        BindingError: The file is too short for a header, or the header too large.
    """
    length = int.from_bytes(prefix, "little")
    if len(prefix) < LENGTH_BYTES or length > size - LENGTH_BYTES:
        raise BindingError(
            f"{what}: {size} bytes are too few for the header of a safetensors file; it is "
            "truncated or of another format"
        )
    if length > MAX_HEADER_BYTES:
        raise BindingError(
            f"{what}: its header has {length} bytes, at most {MAX_HEADER_BYTES} are read"
        )
    return length


def tensors(header: bytes, size: int, what: str) -> tuple[Tensor, ...]:
    """Parse the header and require that its tensors fill the rest of the file exactly.

    Args:
        header: The N bytes of JSON.
        size: Size of the whole file in bytes.
        what: Name of the file in errors.

    Raises:
        BindingError: Not such a header, an unknown dtype, or a hole, an overlap or a tensor whose
            bytes are not those of its shape; names the tensor.
    """
    try:
        value = strict_json.loads_object(header.rstrip(b" "), max_bytes=MAX_HEADER_BYTES)
    except strict_json.StrictJsonError as error:
        raise BindingError(f"{what}: header: {error}") from error
    _valid(_METADATA, value.pop("__metadata__", {}), f"{what}: header: __metadata__")
    entries = {
        name: _valid(_ENTRY, entry, f"{what}: tensor {name}") for name, entry in value.items()
    }
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].data_offsets):
        end = _end(entry, end, f"{what}: tensor {name}")
    buffer = size - LENGTH_BYTES - len(header)
    if end != buffer:
        raise BindingError(
            f"{what}: its tensors have {end} bytes, but {buffer} follow the header; it is "
            "truncated, or has bytes that belong to no tensor"
        )
    return tuple(
        Tensor(name, entry.dtype, tuple(entry.shape)) for name, entry in sorted(entries.items())
    )


def _end(entry: _Entry, begin: int, what: str) -> int:
    """Return where a tensor ends that must begin at ``begin``."""
    if entry.dtype not in BITS:
        raise BindingError(f"{what}: dtype {entry.dtype!r} is not one of {', '.join(BITS)}")
    bits = math.prod(entry.shape) * BITS[entry.dtype]
    expected = [begin, begin + bits // 8]
    if bits % 8 or entry.data_offsets != expected:
        raise BindingError(
            f"{what}: its data_offsets are {entry.data_offsets}, expected {expected} by its dtype "
            "and shape and the tensor before it"
        )
    return expected[1]


def _valid(kind: TypeAdapter[Any], value: object, what: str) -> Any:  # noqa: ANN401 - the adapter's type
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BindingError(f"{what}: {f'{place}: ' if place else ''}{first['msg']}") from error
