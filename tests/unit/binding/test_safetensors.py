from __future__ import annotations

from typing import Any

import pytest

from sidecar.binding import safetensors
from sidecar.binding.errors import BindingError
from sidecar.binding.safetensors import Tensor
from tests.unit.binding.adapters import SHAPES, packed
from tests.unit.binding.adapters import safetensors as written


def read(data: bytes) -> tuple[Tensor, ...]:
    length = safetensors.header_length(data[:8], len(data), "f")
    return safetensors.tensors(data[8 : 8 + length], len(data), "f")


def entry(begin: int, end: int, shape: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    shape = [(end - begin) // 4] if shape is None else shape
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end], **more}


def test_names_types_and_shapes_are_read() -> None:
    assert read(written(SHAPES)) == tuple(
        Tensor(name, "F32", shape) for name, shape in sorted(SHAPES.items())
    )


def test_empty_tensors_and_scalars_have_their_bytes() -> None:
    header = {"a": entry(0, 0, [0, 3]), "b": entry(0, 4, [])}
    assert read(packed(header, bytes(4))) == (Tensor("a", "F32", (0, 3)), Tensor("b", "F32", ()))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"abc", "3 bytes are too few for the header of a safetensors file"),
        (written(SHAPES)[:40], "40 bytes are too few for the header of a safetensors file"),
        (written(SHAPES)[:-1], "its tensors have 512 bytes, but 511 follow the header"),
        (written(SHAPES) + b"x", "its tensors have 512 bytes, but 513 follow the header"),
        (
            packed({"a": entry(4, 8)}, bytes(8)),
            r"tensor a: its data_offsets are \[4, 8\], expected",
        ),
        (
            packed({"a": entry(0, 8), "b": entry(4, 12)}, bytes(12)),
            r"tensor b: its data_offsets are \[4, 12\], expected \[8, 16\]",
        ),
        (packed({"a": entry(0, 8, [3])}, bytes(8)), r"tensor a: .* expected \[0, 12\]"),
        (packed({"a": entry(0, 8, [-2])}, bytes(8)), "tensor a: shape.0: Input should be greater"),
        (packed({"a": entry(0, 8, [2.0])}, bytes(8)), "tensor a: shape.0: Input should be a valid"),
        (packed({"a": entry(0, 8, dtype="F99")}, bytes(8)), "tensor a: dtype 'F99' is not one of"),
        (packed({"a": entry(0, 0, [1], dtype="F4")}, b""), "tensor a: its data_offsets are"),
        (packed({"a": entry(0, 8, extra=1)}, bytes(8)), "tensor a: extra: Extra inputs"),
        (packed({"a": 1}, b""), "tensor a: Input should be"),
        (packed({"__metadata__": {"a": 1}}, b""), "header: __metadata__: a: Input should be"),
        (packed(b'{"a": {}, "a": {}}', b""), "header: a key is given twice"),
        (packed(b"[]", b""), "header: not a JSON object"),
    ],
)
def test_a_file_that_two_parsers_could_read_differently_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(BindingError, match=f"^f: {why}"):
        read(data)


def test_a_header_larger_than_any_is_not_read() -> None:
    size = safetensors.MAX_HEADER_BYTES + 1
    with pytest.raises(BindingError, match=f"f: its header has {size} bytes, at most"):
        safetensors.header_length(size.to_bytes(8, "little"), 2 * size, "f")
