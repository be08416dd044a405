"""Step 0: from a request to a ``Call`` with every model it can reach, or a refusal.

Ids come only from where the *upstream* takes them: the path, or the body's exact bytes. Headers are
never a source. Every id that is found is to be authorised; a key by which some server would run
another model is refused, and so is indirection through objects stored upstream, because nobody here
knows what they hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sidecar.core import strict_json
from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.gate import paths, places
from sidecar.gate.body import body_of
from sidecar.gate.http_request import HttpRequest
from sidecar.gate.places import Found, Role
from sidecar.gate.routes import OVERRIDES, OVERRIDING_HEADERS, Operation

MAX_MODELS = 32
_MODEL_ID = re.compile(r"[!-~]{1,512}")
_WORD = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_JSON_TYPE = re.compile(r'application/json(?:\s*;\s*charset="?utf-8"?)?\s*', re.IGNORECASE)


def extract(request: HttpRequest, *, max_bytes: int) -> Call:
    """Name the operation and every model of a request.

    Args:
        request: The request.
        max_bytes: The longest body that is read.

    Raises:
        AdmissibilityError: Any code of step 0.
    """
    operation, model = paths.match(request.method, request.path)
    for name, _ in request.headers:
        if name in OVERRIDING_HEADERS:
            raise AdmissibilityError(
                Reason.AMBIGUOUS_MODEL, f"the header {name} could change what is called"
            )
    body = body_of(request, max_bytes=max_bytes)
    if model is not None:
        if body:
            raise _malformed("this operation has no body")
        return Call(request.provider, operation.name, (model,))
    return _from_body(request, operation, body)


def _from_body(request: HttpRequest, operation: Operation, body: bytes) -> Call:
    if not _JSON_TYPE.fullmatch(request.header("content-type") or ""):
        raise _malformed("Content-Type is not application/json in UTF-8")
    try:
        value = strict_json.loads_object(body, max_bytes=len(body))
    except strict_json.StrictJsonError as error:
        raise _malformed(f"body: {error}") from error
    _refuse_indirection(operation, value)
    found = tuple(places.find(operation.tree, value, texts=operation.texts))
    _check_items(found)
    return Call(
        provider=request.provider,
        operation=operation.name,
        models=_models(value, found),
        stream=True in {_stream(entry) for entry in _of(found, Role.STREAM)},
        modalities=tuple(sorted({_word(entry) for entry in _of(found, Role.MODALITY)})),
        tool_types=_tool_types(found),
    )


def _refuse_indirection(operation: Operation, body: dict[str, Any]) -> None:
    stored = {strict_json.fold(key) for key in operation.stored}
    for key, value in body.items():
        folded = strict_json.fold(key)
        if folded in stored and value is not None:
            raise AdmissibilityError(
                Reason.UNSUPPORTED_OPERATION,
                f"{operation.name} with {folded}: what is stored upstream may name another model",
            )
        if folded in OVERRIDES:
            raise AdmissibilityError(
                Reason.AMBIGUOUS_MODEL, f"the key {folded} could change which model is run"
            )


def _check_items(found: tuple[Found, ...]) -> None:
    """Items by reference are stored upstream; an item without type and role is such a one."""
    for entry in _of(found, Role.ITEM):
        item = entry.value
        if not isinstance(item, dict):
            raise _malformed(f"{entry.where} is not an object")
        try:
            strict_json.refuse_twins(item, ("type", "role", "id"))
        except strict_json.StrictJsonError as error:
            raise _malformed(f"{entry.where}: {error}") from error
        by_type = item.get("type") == "item_reference"
        if by_type or (item.get("type") is None and item.get("role") is None):
            raise AdmissibilityError(
                Reason.UNSUPPORTED_OPERATION,
                "an input item by reference: what is stored upstream may name another model",
            )


def _models(body: dict[str, Any], found: tuple[Found, ...]) -> tuple[str, ...]:
    if body.get("model") is None:
        raise _malformed("the body names no model")
    models = dict.fromkeys(_model(entry) for entry in _of(found, Role.MODEL) if _given(entry))
    if len(models) > MAX_MODELS:
        raise _malformed(f"more than {MAX_MODELS} models are named")
    return tuple(models)


def _model(entry: Found) -> str:
    if not isinstance(entry.value, str) or not _MODEL_ID.fullmatch(entry.value):
        raise _malformed(f"{entry.where} is not a model id")
    return entry.value


def _stream(entry: Found) -> bool:
    if entry.value is not None and not isinstance(entry.value, bool):
        raise _malformed(f"{entry.where} is neither true nor false")
    return entry.value is True


def _tool_types(found: tuple[Found, ...]) -> tuple[str, ...]:
    """Every tool has a type; the older ``functions`` are tools of the type ``function``."""
    for entry in _of(found, Role.TOOL):
        if not isinstance(entry.value, dict) or "type" not in entry.value:
            raise _malformed(f"{entry.where} is not a tool with a type")
    types = {_word(entry) for entry in _of(found, Role.TOOL_TYPE)}
    if _of(found, Role.FUNCTION):
        types.add("function")
    return tuple(sorted(types))


def _word(entry: Found) -> str:
    if not isinstance(entry.value, str) or not _WORD.fullmatch(entry.value):
        raise _malformed(f"{entry.where} is not a plain word")
    return entry.value


def _given(entry: Found) -> bool:
    return entry.value is not None


def _of(found: Iterable[Found], role: Role) -> list[Found]:
    return [entry for entry in found if entry.role is role]


def _malformed(why: str) -> AdmissibilityError:
    return AdmissibilityError(Reason.MALFORMED_REQUEST, why)
