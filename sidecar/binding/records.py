"""Parses providers' records strictly: JSON without twins, then the fields that are used. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, TypeVar

import rfc8785
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sidecar.binding.errors import BindingError
from sidecar.core import strict_json, wire
from sidecar.core.wire import first_fault

MAX_RECORD_BYTES = 1 << 20
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")

M = TypeVar("M", bound="Record")


class Record(BaseModel):
    """Fields of a provider's record: strict types; what is not named here is kept, not read."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


def _rfc3339(value: object) -> datetime:
    """Parse a time of day with its offset; a number would be a time of another meaning."""
    if not isinstance(value, str) or _RFC3339.fullmatch(value) is None:
        raise ValueError("expected a time such as 2026-01-02T03:04:05Z")
    # Fractions of up to six digits are read; providers differ in how many they write.
    whole = re.sub(r"(\.\d{6})\d+", r"\1", value)
    return datetime.fromisoformat(whole)


Identifier = Annotated[str, Field(min_length=1, max_length=512)]
Time = Annotated[datetime, BeforeValidator(_rfc3339)]


def parse_object(data: bytes, what: str) -> dict[str, Any]:
    """Parse a record's bytes.

    Args:
        data: As the API returned them.
        what: Names the record in errors.

    Raises:
        BindingError: Not strict JSON, not an object, or larger than ``MAX_RECORD_BYTES``.
    """
    try:
        return strict_json.loads_object(data, max_bytes=MAX_RECORD_BYTES)
    except strict_json.StrictJsonError as error:
        raise BindingError(f"{what} record: {error}") from error


def validate(kind: type[M], value: Mapping[str, Any], what: str) -> M:
    """Read the fields of a parsed record.

    Raises:
        BindingError: A field is missing or of another type; names it.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise BindingError(f"{what} record: {first_fault(error, whole='record')}") from error


def canonical(value: Mapping[str, Any], what: str) -> bytes:
    """Write parsed records as RFC 8785 canonical JSON.

    Raises:
        BindingError: A number cannot be written without loss.
    """
    try:
        return wire.canonical(value)
    except rfc8785.CanonicalizationError as error:
        raise BindingError(f"{what} record: {error}") from error
