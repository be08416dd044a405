"""Extracts a ``Call`` with every model it can reach from a request, or refuses it (step 0).

Ids come only from where the *upstream* reads them: the path, the query or the body's exact bytes.
Headers are never a source. Every id that is found must be authorised; a key by which some server
would run another model is refused. An object stored upstream is named in the call, and only a
registration states which models it can reach.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from sidecar.core import strict_json
from sidecar.core.call import Call
from sidecar.core.refusals import ambiguous, malformed, unsupported
from sidecar.extract import multipart, stored_inputs
from sidecar.extract.body import body_of, check_websocket, refuse_upgrade
from sidecar.extract.call_builder import remembered_call
from sidecar.extract.http_request import HttpRequest
from sidecar.extract.references import item_references
from sidecar.extract.router import ROUTES, route
from sidecar.providers import PROVIDERS, json_paths
from sidecar.providers.json_paths import AllowedValues, FoundValue, Role
from sidecar.providers.operation import Body, Operation
from sidecar.providers.overrides import header_overrides, key_overrides, nested_overrides
from sidecar.providers.provider import SELF_HOSTED, Provider
from sidecar.providers.stored_inputs import NO_INPUTS, StoredInputs

_FLAGS = {"true": True, "false": False}
_FORM_TYPE = re.compile(r"multipart/", re.IGNORECASE)
_JSON_TYPE = re.compile(r'application/json(?:\s*;\s*charset="?utf-8"?)?\s*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ExtractOptions:
    """What the operator set for extraction.

    Attributes:
        max_body_bytes: The most bytes that a body may have.
        opened: Names of operations, closed by default, that the operator opened.
        ignore_body_model: Whether ``model`` in the body is ignored where the path has a deployment.
        inputs: Whether stored objects that the input names are looked for (registration is on).
    """

    max_body_bytes: int
    opened: frozenset[str] = frozenset()
    ignore_body_model: bool = False
    inputs: bool = False

    def stored_inputs(self, api: Provider) -> StoredInputs:
        """Return where ``api`` takes stored objects as input, as far as they are looked for."""
        return api.inputs if self.inputs else NO_INPUTS


@dataclass(frozen=True, slots=True)
class Examined:
    """The call that a request makes, and the value found at each place."""

    call: Call
    found: tuple[FoundValue, ...]


@dataclass(frozen=True, slots=True)
class Matched:
    """The operation of a request, its upstream's table, and the values that the path names."""

    api: Provider
    operation: Operation
    named: tuple[FoundValue, ...]


def extract(request: HttpRequest, options: ExtractOptions) -> Call:
    """Name the operation and every model of a request; see ``examine``."""
    return examine(request, options).call


def examine(request: HttpRequest, options: ExtractOptions) -> Examined:
    """Name the operation and every model of a request, with their places.

    Raises:
        AdmissibilityError: Any code of step 0.
    """
    matched = match(request, options.opened)
    stored = options.stored_inputs(matched.api)
    in_body = _named_in_body(request, matched.operation, options.max_body_bytes, stored)
    return _examined(request, matched, in_body, options)


def match(request: HttpRequest, opened: Collection[str]) -> Matched:
    """Find a request's operation by its method and path, and refuse headers that override it.

    Raises:
        AdmissibilityError: ``unsupported_operation``, ``malformed_request``, ``ambiguous_model``.
    """
    routes = ROUTES.get(request.api)
    if routes is None:
        raise unsupported(
            f"this route's api is {request.api[:64]!r}; have the"
            " operator set context_extensions.api"
            f" to one of {', '.join(sorted(ROUTES))}"
        )
    _check_table(request, routes.api)
    operation, named = route(request.api, request.method, request.path)
    _check_open(operation, opened)
    for name in request.names:
        if header_overrides(name):
            raise ambiguous(
                f"the header {name} could make a server run another model; leave it out"
            )
    return Matched(routes.api, operation, named)


def _check_table(request: HttpRequest, api: Provider) -> None:
    """Refuse a hosted provider's name beside another table, which reads its names otherwise.

    A deployment or a router would pass for a model, and a withdrawal of a model by one of its names
    for one of another model.
    """
    own = PROVIDERS.get(request.provider)
    if own is not None and own is not api and own.hosts != SELF_HOSTED:
        raise unsupported(
            f"this route's provider is {own.name!r} and its api is {api.name!r}, which reads names"
            " of models otherwise; have the operator set both alike, or name the provider"
            " differently"
        )


def reads_json(request: HttpRequest, operation: Operation) -> bool:
    """Return whether the operation reads the body of such a request as JSON."""
    content_type = request.header("content-type")
    return (
        operation.body is Body.READ
        and bool(operation.reads)
        and not operation.upgrade
        and content_type is not None
        and _JSON_TYPE.fullmatch(content_type) is not None
    )


def examine_json(
    request: HttpRequest, matched: Matched, body: bytes, options: ExtractOptions
) -> Examined:
    """Examine a request whose body is JSON, when all of it but the body was examined before.

    Raises:
        AdmissibilityError: As ``examine``.
    """
    in_body = _from_json(matched.operation, body, options.stored_inputs(matched.api))
    return _examined(request, matched, in_body, options)


def _examined(
    request: HttpRequest, matched: Matched, in_body: tuple[FoundValue, ...], options: ExtractOptions
) -> Examined:
    if options.ignore_body_model and matched.operation.path_decides:
        in_body = tuple(_ignored(entry) for entry in in_body)
    found = (*matched.named, *in_body)
    return Examined(remembered_call(request, matched.api, matched.operation, found), found)


def _ignored(entry: FoundValue) -> FoundValue:
    """Give the body's ``model`` the role of a name that the upstream ignores."""
    return replace(entry, role=Role.IGNORED) if entry.where == json_paths.MODEL_KEY else entry


def _check_open(operation: Operation, opened: Collection[str]) -> None:
    if operation.never:
        raise unsupported(f"{operation.name} is refused: {operation.never}")
    if operation.shut and operation.name not in opened:
        raise unsupported(
            f"{operation.name} is closed unless open_operations in sidecar.yaml lists it:"
            f" {operation.shut}"
        )


def _named_in_body(
    request: HttpRequest, operation: Operation, max_bytes: int, inputs: StoredInputs
) -> tuple[FoundValue, ...]:
    """Return the values that the body names."""
    if operation.upgrade:
        check_websocket(request)
        return ()
    refuse_upgrade(request)
    if operation.body is Body.STREAMED:
        return ()
    body = body_of(request, max_bytes=max_bytes)
    if operation.body is Body.READ:
        return _read(request, operation, body, inputs)
    if operation.body is Body.NONE and body:
        raise malformed("this operation has no body")
    return tuple(stored_inputs.in_unread(inputs, body)) if body else ()


def _read(
    request: HttpRequest, operation: Operation, body: bytes, inputs: StoredInputs
) -> tuple[FoundValue, ...]:
    content_type = request.header("content-type")
    if content_type is None:
        content_type = "application/json" if operation.untyped else ""
    if operation.form and _FORM_TYPE.match(content_type):
        return _from_form(operation, content_type, body, inputs)
    if not operation.reads:
        raise malformed("Content-Type must be multipart/form-data")
    if not _JSON_TYPE.fullmatch(content_type):
        raise malformed("Content-Type must be application/json, in UTF-8")
    return _from_json(operation, body, inputs)


def _from_json(operation: Operation, body: bytes, inputs: StoredInputs) -> tuple[FoundValue, ...]:
    try:
        value = strict_json.loads_object(body, max_bytes=len(body))
    except strict_json.StrictJsonError as error:
        raise malformed(f"body: {error}") from error
    _refuse_overrides(operation.top_keys, value)
    overrides = nested_overrides if operation.closed else None
    found = json_paths.find(operation.tree, value, body, texts=operation.texts, overrides=overrides)
    for entry in found:
        if entry.role is Role.BODY and isinstance(entry.value, dict):
            _refuse_overrides(frozenset(), entry.value)
    narrowed = [
        _narrowed(operation, entry, entry.role) if isinstance(entry.role, AllowedValues) else entry
        for entry in found
    ]
    named = stored_inputs.in_json(inputs, operation.tree, value, body)
    return (*narrowed, *item_references(found), *named)


def _from_form(
    operation: Operation, content_type: str, body: bytes, inputs: StoredInputs
) -> tuple[FoundValue, ...]:
    try:
        parts = multipart.parse(content_type, body)
        tops = frozenset(name.partition(".")[0].removesuffix("[]") for name in operation.form)
        _refuse_overrides(tops, (part.name for part in parts))
        long = [name for name, role in operation.form.items() if role is Role.DATA]
        texts = multipart.fields(parts, operation.form, long)
        named = tuple(stored_inputs.in_form(inputs, parts, operation.form))
    except multipart.AmbiguousFieldError as error:
        raise ambiguous(f"form: {error}") from error
    except multipart.MultipartError as error:
        raise malformed(f"form: {error}") from error
    found = []
    for name, text in texts.items():
        role = operation.form[name]
        value: object = _FLAGS.get(text, text) if role is Role.STREAM else text
        found.append(FoundValue(role, value, name))
    return (*found, *named)


def _narrowed(operation: Operation, entry: FoundValue, allowed: AllowedValues) -> FoundValue:
    """Check a value at a place with a list of allowed values, and give it its role."""
    if not allowed.allows(entry.value):
        values = ", ".join(sorted(json.dumps(value) for value in allowed.values))
        raise unsupported(f"{operation.name} with {entry.where} other than {values}: {allowed.why}")
    return replace(entry, role=allowed.role)


def _refuse_overrides(read: frozenset[str], body: Iterable[str]) -> None:
    keys = tuple(body)
    if len(keys) > MAX_KEYS:
        raise malformed(f"more than {MAX_KEYS} keys at the top; no operation has as many")
    short = sum(map(len, keys)) + len(keys) <= _MAX_KEY_CHARS
    name = (_overriding if short else _overriding.__wrapped__)(read, keys)
    if name is not None:
        raise ambiguous(
            f"the key {strict_json.fold(name)[:200]} could make a server run another model"
        )


@lru_cache(maxsize=1024)
def _overriding(read: frozenset[str], keys: tuple[str, ...]) -> str | None:
    """Return the first key that could make a server run another model."""
    names = (key.partition("[")[0] for key in keys if key not in read)
    return next((name for name in names if key_overrides(name)), None)


MAX_KEYS = 1024
"""Most keys at the top of a body; each is looked at for words that name a model."""

_MAX_KEY_CHARS = 512
"""Most characters of a body's keys whose answer is remembered."""
