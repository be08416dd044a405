"""Every published operation, sent as published: authorised for every id in it, or refused by name.

The operations are not ours: they are read from OpenAI's published document, its SDK's types, AWS's
service models and Azure's table (``data/README.md``). So a place that a provider has and our tables
miss fails here.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sidecar.core.call import Call
from sidecar.core.reasons import AdmissibilityError, Reason
from sidecar.extract.extractor import ExtractOptions, extract
from sidecar.extract.http_request import HttpRequest
from sidecar.providers import shut_operations
from tests.contract.operations.operations import (
    DATA,
    Published,
    azure_openai,
    bedrock,
    everything,
    openai,
)
from tests.contract.operations.requests import Filled, fill
from tests.support.tables import check_each

MAX_BYTES = 1 << 20
BY_NAME = {Reason.UNSUPPORTED_OPERATION, Reason.AMBIGUOUS_MODEL}
"""The codes of a refusal that says what it does not let through."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")

RUN_NOTHING = frozenset({"cancel", "hangup", "pause", "reject", "stop"})
"""Ends of paths that only stop something, though they are sent to a stored object."""

ONLY_METADATA = frozenset({"/v1/conversations/{conversation_id}"})
"""Posted to a stored object, whose metadata alone they can change."""

Outcome = Call | tuple[Reason, str]


def outcome(request: HttpRequest, opened: frozenset[str] | None = None) -> Outcome:
    """The call, or the refusal with its message.

    Args:
        request: The request.
        opened: Which operations the operator opened; all that can be, if not given.
    """
    if opened is None:
        opened = shut_operations()
    try:
        return extract(request, ExtractOptions(MAX_BYTES, opened))
    except AdmissibilityError as error:
        return error.reason, error.message


def _by_name(request: HttpRequest, reason: Reason) -> bool:
    """Escapes and empty segments belong to no grammar but that of a route the gate has."""
    route = request.path.partition("?")[0]
    odd = "%" in route or route.endswith("/")
    return reason in BY_NAME or (odd and reason is Reason.MALFORMED_REQUEST)


def complaint(filled: Filled, *, reached: frozenset[str] = frozenset()) -> str:
    """What is wrong with the gate's view of a request; empty if nothing is.

    Args:
        filled: The request and what was put into it.
        reached: Stored objects by which it could run a model.
    """
    found = outcome(filled.request)
    if not isinstance(found, Call):
        return "" if _by_name(filled.request, found[0]) else f"not refused by name but {found}"
    if found.modelless:
        named = sorted(filled.models | filled.references | reached)
        return f"a modelless operation, though it names {named}" if named else ""
    wrong = []
    if set(found.named) != filled.models:
        wrong.append(f"names {sorted(found.named)} instead of {sorted(filled.models)}")
    held = {reference.id for reference in found.references}
    missing = (filled.references | reached) - held
    if missing:
        wrong.append(f"does not know that it builds on {sorted(missing)}")
    if not found.named and not held:
        wrong.append("neither names a model nor is a modelless")
    return "; ".join(wrong)


def reached(operation: Published, filled: Filled) -> frozenset[str]:
    """Objects in the path that this operation would set to work."""
    path = operation.path.partition("?")[0]
    harmless = path in ONLY_METADATA or path.rpartition("/")[2] in RUN_NOTHING
    if harmless or operation.method in ("GET", "DELETE"):
        return frozenset()
    return filled.path_references


def alone(operation: Published, place: str) -> tuple[str, ...]:
    """``place`` and the plain ``model`` beside it, without which most operations mean nothing."""
    return tuple(dict.fromkeys((place, *(["model"] if "model" in operation.models else []))))


def in_path(operation: Published) -> bool:
    """Whether the path names a model."""
    return any(
        where == "path" and role in ("model", "deployment")
        for where, _, role in operation.parameters
    )


NAMING = [operation for operation in everything() if operation.names_a_model]
SILENT = [operation for operation in everything() if not operation.names_a_model]
PLACES = [(operation, place) for operation in NAMING for place in operation.models]
REFERRING = [(operation, place) for operation in everything() for place in operation.references]


def test_all_ids_at_once_are_named_or_the_operation_is_refused_by_name() -> None:
    def check(operation: Published) -> None:
        filled = fill(operation, places=tuple(operation.models))
        assert filled.models
        assert complaint(filled) == ""

    check_each(NAMING, check)


def test_an_id_at_one_place_is_named_or_refused_by_name() -> None:
    def check(row: tuple[Published, str]) -> None:
        operation, place = row
        filled = fill(operation, places=alone(operation, place))
        assert filled.models
        assert complaint(filled) == ""

    check_each(PLACES, check, lambda row: f"{row[0]} {row[1]}")


def test_path_and_body_that_name_different_models_are_refused() -> None:
    def check(operation: Published) -> None:
        filled = fill(operation, places=("model",), agree=False)
        assert len(filled.models) == 2
        found = outcome(filled.request)
        assert isinstance(found, tuple)
        assert found[0] in BY_NAME

    check_each([row for row in NAMING if "model" in row.models and in_path(row)], check)


def test_a_stored_object_is_known_or_refused_by_name() -> None:
    def check(row: tuple[Published, str]) -> None:
        operation, place = row
        models = ("model",) if "model" in operation.models else ()
        filled = fill(operation, places=models, references=(place,))
        assert filled.references
        assert complaint(filled) == ""

    check_each(REFERRING, check, lambda row: f"{row[0]} {row[1]}")


def test_what_names_no_model_is_a_modelless_operation_or_refused() -> None:
    def check(operation: Published) -> None:
        filled = fill(operation)
        assert filled.models == frozenset()
        assert complaint(filled, reached=reached(operation, filled)) == ""

    check_each(SILENT, check)


def test_a_query_names_nothing_that_is_not_seen() -> None:
    def check(operation: Published) -> None:
        found = outcome(fill(operation, query=True).request)
        if isinstance(found, Call) and not found.modelless:
            filled = fill(operation, query=True)
            assert complaint(filled) == ""

    check_each(
        [row for row in everything() if any(part[0] == "query" for part in row.parameters)], check
    )


def test_what_could_name_a_model_never_passes_without_one() -> None:
    """Upstream would choose a default, and nobody would have been asked about it."""

    def check(operation: Published) -> None:
        filled = fill(operation)
        if isinstance(outcome(filled.request), Call):
            assert complaint(filled) == ""

    check_each([row for row in everything() if row.models], check)


def test_a_model_of_bedrock_may_be_an_arn() -> None:
    def check(operation: Published) -> None:
        arn = "arn:aws:bedrock:eu-west-1:111122223333:custom-model/vendor.base-v1:0/abc{}"
        filled = fill(operation, form=arn)
        assert filled.models == {arn.format(1)}
        assert complaint(filled) == ""
        plain = outcome(fill(operation).request)
        assert isinstance(outcome(filled.request), Call) == isinstance(plain, Call)

    check_each([row for row in bedrock() if "{modelId}" in row.path], check)


@pytest.mark.parametrize(
    ("place", "path"),
    [
        ("grader", "/v1/fine_tuning/alpha/graders/run"),
        ("grader", "/v1/fine_tuning/alpha/graders/validate"),
        ("method.reinforcement.grader", "/v1/fine_tuning/jobs"),
    ],
)
def test_graders_with_names_of_their_own_are_read_too(place: str, path: str) -> None:
    """The document has one grader below ``graders``; what the service takes is a map of them."""
    (operation,) = (row for row in openai() if (row.method, row.path) == ("POST", path))
    body = operation.models[f"{place}.graders.model"]
    for key in place.split("."):
        body = body[key]
    named = {"one": body["graders"], "two": body["graders"]}
    places = {
        f"{place}.graders.{key}.model": _below(place, {**body, "graders": named}) for key in named
    }
    plain = {key: operation.models[key] for key in ("model",) if key in operation.models}
    filled = fill(replace(operation, body=None, models=plain | places), places=(*plain, *places))
    assert len(filled.models) == len(plain) + 2
    assert complaint(filled) == ""


def _below(place: str, value: object) -> object:
    for key in reversed(place.split(".")):
        value = {key: value}
    return value


@pytest.mark.parametrize("name", ["openai", "azure", "bedrock"])
def test_methods_that_no_document_has_are_refused(name: str) -> None:
    rows = {"openai": openai, "azure": azure_openai, "bedrock": bedrock}[name]()
    known: dict[str, set[str]] = {}
    for row in rows:
        filled = fill(replace(row, content="", body=None, models={}, references={}))
        known.setdefault(filled.request.path, set()).add(row.method)
    passed = [
        (method, path)
        for path, methods in known.items()
        for method in METHODS
        if method not in methods
        and isinstance(outcome(HttpRequest(method, path, provider=name, api=name)), Call)
    ]
    assert passed == []


def test_a_path_beside_a_published_one_is_no_door() -> None:
    def check(operation: Published) -> None:
        request = fill(operation, places=tuple(operation.models)).request
        route, mark, query = request.path.partition("?")
        beside = {
            f"{route}/",
            f"/{route}",
            route.upper(),
            f"{route}/x/x/x",
            f"{route};x",
            f"{route}%20",
        }
        passed = [
            path
            for path in sorted(beside - {route})
            if isinstance(outcome(replace(request, path=path + mark + query)), Call)
        ]
        assert passed == []

    check_each(everything(), check)


def test_what_is_shut_passes_only_once_it_is_opened() -> None:
    requests = [fill(row, places=tuple(row.models)).request for row in everything()]
    shut = shut_operations()
    passed = {found.operation for found in map(outcome, requests) if isinstance(found, Call)}
    unopened = {
        found.operation
        for found in (outcome(request, frozenset()) for request in requests)
        if isinstance(found, Call)
    }
    assert passed & shut
    assert unopened == passed - shut


def test_the_documents_are_whole() -> None:
    """A reduction that lost its operations, or a table that refused all, would pass until here.

    Operations, those that can name a model, places of models, and those whose every id is named.
    """
    told = {}
    for name, rows in (("openai", openai()), ("azure", azure_openai()), ("bedrock", bedrock())):
        naming = [row for row in rows if row.names_a_model]
        named = [fill(row, places=tuple(row.models)) for row in naming]
        authorised = sum(isinstance(outcome(filled.request), Call) for filled in named)
        places = sum(len(row.models) for row in rows)
        told[name] = (len(rows), len(naming), places, authorised)
    assert told == {
        "openai": (401, 54, 91, 32),
        "azure": (793, 111, 177, 28),
        "bedrock": (633, 107, 165, 12),
    }


def test_the_document_says_what_the_project_counted() -> None:
    """182 paths and 288 operations, in the document of August 2026."""
    rows = json.loads((DATA / "openai.json").read_text())["operations"]
    assert (len({row["path"] for row in rows}), len(rows)) == (182, 288)
