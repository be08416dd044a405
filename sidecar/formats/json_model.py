"""Reads JSON that is not signed (a server's answer, a report) as a pydantic model."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from sidecar.core import strict_json
from sidecar.core.wire import first_fault

_Model = TypeVar("_Model", bound=BaseModel)


class JsonModelError(ValueError):
    """Bytes are not strict JSON or not the model; the text is one line with place and problem."""


def read_json(model: type[_Model], data: bytes, *, max_bytes: int) -> _Model:
    """Parse one strict JSON object and validate it.

    Args:
        model: The model of the whole object.
        data: The bytes.
        max_bytes: Size cap in bytes.

    Raises:
        JsonModelError: They are not; callers put the name of the document before its text.
    """
    try:
        return model.model_validate(strict_json.loads_object(data, max_bytes=max_bytes))
    except strict_json.StrictJsonError as error:
        raise JsonModelError(str(error)) from error
    except ValidationError as error:
        raise JsonModelError(first_fault(error)) from error
