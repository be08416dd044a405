"""Fields of protobuf messages, written and read by hand."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, FieldDescriptor

PACKAGE = "envoy.service.auth.v3."


SCALARS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT32: "uint32",
}


def kind(field: FieldDescriptor, package: str) -> str:
    held = field.message_type or field.enum_type
    name = SCALARS[field.type] if held is None else held.full_name.removeprefix(package)
    return f"repeated {name}" if field.is_repeated else name


def declared(message: Descriptor, package: str = PACKAGE) -> dict[str, dict[int, tuple[str, str]]]:
    fields = {field.number: (field.name, kind(field, package)) for field in message.fields}
    found = {message.full_name.removeprefix(package): fields}
    for nested in message.nested_types:
        found |= declared(nested, package)
    return found


def field(number: int, content: bytes) -> bytes:
    """One length-delimited field, for a number below 16 and a length below 16,384."""
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])
    return bytes([number << 3 | 2]) + length + content


def varint(number: int, value: bytes) -> bytes:
    return bytes([number << 3]) + value
