"""Builds the ``Call`` of a request from the values that its path, query and body name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sidecar.core.call import Call, Reference
from sidecar.core.reasons import AdmissibilityError
from sidecar.core.refusals import ambiguous, malformed, unsupported
from sidecar.extract.http_request import SPECIFICATION_HEADER, HttpRequest
from sidecar.extract.references import ITEM, built_on, owned
from sidecar.extract.tools import (
    check_formats,
    check_judges,
    given,
    modalities,
    of_role,
    tool_types,
)
from sidecar.providers.json_paths import FoundValue, Input, Role
from sidecar.providers.operation import MAIN, Kind, Operation
from sidecar.providers.provider import NameKind, Provider

MAX_MODELS = 32
_MODEL_ID = re.compile(r"[!-~]{1,512}")
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_CALLS: dict[tuple[object, ...], Call] = {}
_MAX_CALLS = 1024
_MAX_FOUND, _MAX_VALUE_CHARS = 8, 256
"""Most values of a call that is remembered, and the longest of them."""


def remembered_call(
    request: HttpRequest, api: Provider, operation: Operation, found: tuple[FoundValue, ...]
) -> Call:
    """Build the call, once for the same few short values at the same places.

    Args:
        request: The request.
        api: Its upstream's table.
        operation: Its operation.
        found: The values that path, query and body name.

    Raises:
        AdmissibilityError: The values name no model, too many, or different ones.
    """
    if operation.kind is Kind.TUNING or len(found) > _MAX_FOUND:
        return _call(request, api, operation, found)
    key: list[object] = [request.provider, api.name, operation.method, operation.route]
    for entry in found:
        value = entry.value
        if type(value) is str:
            if len(value) > _MAX_VALUE_CHARS:
                return _call(request, api, operation, found)
        elif value is not None and value is not True and value is not False:
            return _call(request, api, operation, found)
        key += (entry.role, value, entry.where)
    call = _CALLS.get(tuple(key))
    if call is None:
        call = _call(request, api, operation, found)
        if len(_CALLS) >= _MAX_CALLS:
            _CALLS.clear()
        _CALLS[tuple(key)] = call
    return call


def _call(
    request: HttpRequest, api: Provider, operation: Operation, found: tuple[FoundValue, ...]
) -> Call:
    """Build the call from the values that path, query and body name."""
    _refuse_foreign(operation, found)
    check_formats(found)
    check_judges(found)
    models, tuned = _models(api, found, Role.MODEL), _models(api, found, Role.TUNED)
    references = built_on(found)
    _check_named(operation, found, models, tuned, references)
    return Call(
        provider=request.provider,
        operation=operation.name,
        models=models,
        stream=operation.streams
        or True in {_stream(entry) for entry in of_role(found, Role.STREAM)},
        modalities=modalities(found),
        tool_types=tool_types(found),
        tuned=tuned,
        deployments=deployments(api, models, tuned),
        references=references,
        owned=owned(found),
        inputs=owned(found, Input),
        specification=_specification(request, operation, found),
        modelless=operation.kind is Kind.MODELLESS,
        ignored=tuple(name for name in _models(api, found, Role.IGNORED) if name not in models),
    )


def _refuse_foreign(operation: Operation, found: Iterable[FoundValue]) -> None:
    for entry in of_role(found, Role.FOREIGN):
        if given(entry):
            raise unsupported(
                f"{operation.name} with {entry.where}: what is stored upstream may name"
                " another model"
            )


def _models(api: Provider, found: Iterable[FoundValue], role: Role) -> tuple[str, ...]:
    named = (_model(entry) for entry in of_role(found, role) if given(entry))
    return tuple(dict.fromkeys(name for each in named for name in api.named(each)))


def _check_named(
    operation: Operation,
    found: tuple[FoundValue, ...],
    models: tuple[str, ...],
    tuned: tuple[str, ...],
    references: tuple[Reference, ...],
) -> None:
    """Require that the operation's main places name one model, or a reference, and no other."""
    if operation.kind is Kind.MODELLESS:
        return
    if len(models) + len(tuned) > MAX_MODELS:
        raise malformed(f"more than {MAX_MODELS} models are named")
    main_role = Role.TUNED if operation.kind is Kind.TUNING else Role.MODEL
    main = {
        entry.value: entry.where
        for entry in found
        if entry.role is main_role and entry.where in MAIN and given(entry)
    }
    if len(main) > 1:
        raise _different(main, operation)
    # An item has no model of its own: if none is named, the provider would choose one.
    inherited = any(each.kind != ITEM for each in references)
    if not inherited and not (main if operation.has_main else (*models, *tuned)):
        raise malformed("the request names no model: name it")


def _different(main: Mapping[str, str], operation: Operation) -> AdmissibilityError:
    names = ", ".join(f"{where} is {name[:200]!r}" for name, where in main.items())
    what = (
        "; leave the body's out, or have the operator set azure_body_model: ignore"
        if operation.path_decides
        else ""
    )
    return ambiguous(f"different models are named: {names}{what}")


def deployments(api: Provider, models: tuple[str, ...], tuned: tuple[str, ...]) -> tuple[str, ...]:
    """Return the models that are names of deployments; the base of a tuning job never is one.

    Raises:
        AdmissibilityError: One is the name of a router, which chooses models.
    """
    kinds = {name: api.names(name) for name in (*models, *tuned)}
    for name, kind in kinds.items():
        if kind is NameKind.CHOOSER:
            raise unsupported(f"{name[:200]} is a router that chooses models; name a model")
    return tuple(name for name in models if kinds[name] is NameKind.DEPLOYMENT)


def _specification(
    request: HttpRequest, operation: Operation, found: Iterable[FoundValue]
) -> str | None:
    """Return the specification's digest of a tuning job, from the body or the header."""
    if operation.kind is not Kind.TUNING:
        return None
    named = [entry.value for entry in of_role(found, Role.SPECIFICATION) if given(entry)]
    named.extend(value for name, value in request.headers if name == SPECIFICATION_HEADER)
    digests = []
    for value in named:
        match = _DIGEST.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            raise malformed(
                "the environment specification must be named by its"
                " SHA-256, 64 lower-case hex digits"
            )
        digests.append(match[1])
    if len(set(digests)) > 1:
        raise malformed("two different environment specifications are named")
    return digests[0] if digests else None


def _model(entry: FoundValue) -> str:
    if not isinstance(entry.value, str) or not _MODEL_ID.fullmatch(entry.value):
        raise malformed(f"{entry.where} must be a model id of 1 to 512 printable ASCII characters")
    return entry.value


def _stream(entry: FoundValue) -> bool:
    if entry.value is not None and not isinstance(entry.value, bool):
        raise malformed(f"{entry.where} must be true or false")
    return entry.value is True
