"""A registered object is its owner's: every operation on one is refused to another environment.

Real Envoy, gate and OPA. The rows are those of the provider's table, so that a new operation on a
stored object is in the test by itself.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import requests

from sidecar.providers import PROVIDERS
from sidecar.providers.operation import Kind, Operation
from tests.process.registration.stage import OTHER_ENV, Stage, lines
from tests.support.simulator.constants import BASE, ENV, MODEL

_PARAMETER = re.compile(r"\{(\w+)\}")
ROWS = [
    row
    for row in PROVIDERS["openai"].operations
    if row.kind is Kind.MODELLESS and set(_PARAMETER.findall(row.route)) - {"id"}
]
ORPHANS = {"automation", "chat_completion", "video_character"}
"""Kinds that no call through the gate makes, or that it does not register: nobody's."""


@pytest.fixture(scope="module")
def stage(open_stage: Stage) -> Stage:
    return open_stage


@pytest.fixture(scope="module")
def made(stage: Stage) -> dict[str, str]:
    """One object of every kind, made by the environment that owns it."""
    client = stage.client()
    batch_file = client.files.create(file=("lines.jsonl", lines(BASE)), purpose="batch")
    agent = client.beta.agents.create(model=MODEL)
    vault = _post(stage, "/v1/vaults", {})
    return {
        "agent": agent.id,
        "session": client.beta.agents.sessions.create(
            environment={"type": "none"}, agent_id=agent.id
        ).id,
        "agent_environment": _post(stage, "/v1/agents/environments", {}),
        "agent_template": _post(stage, "/v1/agents/environments/templates", {}),
        "vault": vault,
        "vault_credential": _post(stage, f"/v1/vaults/{vault}/credentials", {}),
        "batch": client.batches.create(
            input_file_id=batch_file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
        ).id,
        "conversation": client.conversations.create().id,
        "file": client.files.create(file=("a.txt", b"x"), purpose="user_data").id,
        "response": stage.respond(MODEL),
        "upload": _post(stage, "/v1/uploads", {"purpose": "user_data"}),
        "container": _post(stage, "/v1/containers", {"name": "box"}),
        "vector_store": _post(stage, "/v1/vector_stores", {"file_ids": [batch_file.id]}),
    }


def _send(
    stage: Stage, method: str, path: str, environment: str = ENV, body: Any = None
) -> requests.Response:
    options = stage.options(environment)
    return requests.request(
        method,
        stage.address + path,
        headers=options["default_headers"],
        json=body,
        timeout=60,
    )


def _post(stage: Stage, path: str, body: Any) -> str:
    answer = _send(stage, "POST", path, body=body)
    assert answer.status_code == 200, (path, answer.text)
    return str(answer.json()["id"])


def _told(answer: requests.Response) -> Any:
    return answer.status_code, answer.headers.get("x-admissibility-reason")


def _path(row: Operation, made: dict[str, str]) -> str:
    return _PARAMETER.sub(lambda match: made.get(match[1], f"{match[1]}_1"), row.route)


def _value(place: str, made: dict[str, str]) -> Any:
    """The owner's file where a file belongs, and else nothing in particular."""
    if place == "file_ids[]":
        return [made["file"]]
    return made["file"] if place == "file_id" else {}


KINDS = {name for row in ROWS for name in _PARAMETER.findall(row.route)} - {"id"}
MADE_ELSEWHERE = {"fine_tuning_job", "video"}
"""Kinds whose making needs a model of another kind; nobody has one here."""


def test_every_kind_of_object_is_made_or_is_nobodys(made: dict[str, str]) -> None:
    assert set(made) | ORPHANS | MADE_ELSEWHERE == KINDS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.method} {row.route}")
def test_an_operation_on_a_stored_object_is_its_owners(
    row: Operation, stage: Stage, made: dict[str, str]
) -> None:
    path = _path(row, made)
    body = {name.removesuffix("[]"): _value(name, made) for name in row.reads if "." not in name}
    reached = len(stage.provider.requests)
    foreign = _send(stage, row.method, path, OTHER_ENV, body or None)
    assert _told(foreign) == (403, "object_unregistered")
    assert len(stage.provider.requests) == reached
    nobodys = set(_PARAMETER.findall(row.route)) & (ORPHANS | MADE_ELSEWHERE)
    own = _told(_send(stage, row.method, path, ENV, body or None))
    assert own == ((403, "object_unregistered") if nobodys else (200, None)), path


def test_what_an_answer_names_belongs_to_whom_it_is_answered(
    stage: Stage, made: dict[str, str]
) -> None:
    read = {environment: _content(stage, made, environment) for environment in (OTHER_ENV, ENV)}
    assert read == {
        OTHER_ENV: [(403, "object_unregistered")] * 2,
        ENV: [(200, None)] * 2,
    }


def _content(stage: Stage, made: dict[str, str], environment: str) -> list[Any]:
    """Read a batch and complete an upload; then the files that the answers name."""
    for method, path in (
        ("GET", f"/v1/batches/{made['batch']}"),
        ("POST", f"/v1/uploads/{made['upload']}/complete"),
    ):
        _send(stage, method, path, environment)
    return [
        _told(_send(stage, "GET", f"/v1/files/file-of-{made[kind]}/content", environment))
        for kind in ("batch", "upload")
    ]


@pytest.mark.parametrize("kind", ["file", "batch"])
def test_a_file_that_holds_no_admitted_calls_is_not_run_as_a_batch(
    kind: str, stage: Stage, made: dict[str, str]
) -> None:
    """Of another purpose, or written by the provider: nobody read what is in it."""
    _send(stage, "GET", f"/v1/batches/{made['batch']}")
    name = made["file"] if kind == "file" else f"file-of-{made['batch']}"
    asked = {"input_file_id": name, "endpoint": "/v1/x", "completion_window": "24h"}
    reached = len(stage.provider.requests)
    answer = _send(stage, "POST", "/v1/batches", body=asked)
    assert _told(answer) == (403, "object_unregistered")
    assert "must be uploaded with purpose batch" in answer.json()["error"]["message"]
    assert len(stage.provider.requests) == reached


def test_a_file_of_another_environment_is_put_into_no_vector_store(
    stage: Stage, made: dict[str, str]
) -> None:
    theirs = _send(stage, "POST", "/v1/vector_stores", OTHER_ENV, {}).json()["id"]
    asked = {"file_ids": [made["file"]]}
    found = [
        _told(_send(stage, "POST", path, OTHER_ENV, body))
        for path, body in (
            ("/v1/vector_stores", asked),
            (f"/v1/vector_stores/{theirs}/file_batches", asked),
            (f"/v1/vector_stores/{theirs}/file_batches", {"files": [{"file_id": made["file"]}]}),
            (f"/v1/vector_stores/{theirs}/files", {"file_id": made["file"]}),
        )
    ]
    assert found == [(403, "object_unregistered")] * 4


def test_an_id_in_a_path_that_no_owner_is_known_of_is_none_of_a_stored_object() -> None:
    """Parts of an object that is checked; calls of a telephone, which are nowhere stored."""
    unchecked = {
        row.route.removeprefix("/v1")
        for row in PROVIDERS["openai"].operations
        if "{id}" in row.route and not row.never and len(_PARAMETER.findall(row.route)) == 1
    }
    assert unchecked == {"/realtime/calls/{id}/hangup", "/realtime/calls/{id}/reject"}
