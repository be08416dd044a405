"""A call may name as input only its own environment's files, vector stores and containers.

Real Envoy, gate and OPA; the objects are made through the gate by the environment that owns them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
import requests

from sidecar._pb import ext_authz_pb2 as pb
from sidecar._pb import ext_authz_pb2_grpc as rpc
from sidecar.core.window import Window
from sidecar.registry.keys import open_or_create
from sidecar.registry.record import Key
from sidecar.registry.store import RegistrationStore
from tests.process.registration.stage import HEADER, OTHER_ENV, Stage
from tests.support.gate.requests import as_check_request
from tests.support.simulator.constants import BASE, ENV, MODEL

REFUSED, ADMITTED = (403, "object_unregistered"), (200, None)
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
REGISTRATION = {"folder": "registrations", "key": "registration.pem"}
_AUTO = "cntr_auto"


@pytest.fixture(scope="module")
def stage(open_stage: Stage) -> Stage:
    return open_stage


@pytest.fixture(scope="module")
def made(stage: Stage) -> dict[str, str]:
    """Objects of one environment; a container too, which a response's tool has made."""
    file = stage.client().files.create(file=("a.txt", b"x"), purpose="user_data").id
    box = {"type": "code_interpreter_call", "id": "ci_1", "container_id": _AUTO}
    stage.provider.changes = {"output": [box]}
    assert asked(stage, RESPONSES, {"input": "hi"}) == ADMITTED
    stage.provider.changes = {}
    store = send(stage, "/v1/vector_stores", {"file_ids": [file]}).json()["id"]
    return {"file": file, "vector_store": store, "container": _AUTO}


@contextmanager
def restarted(stage: Stage, registration: dict[str, str] | None) -> Iterator[None]:
    """Run the gate with another setting, and then with the first again."""
    stage.restart(registration=registration)
    try:
        yield
    finally:
        stage.restart(registration=REGISTRATION)


def send(
    stage: Stage, path: str, body: dict[str, Any], environment: str = ENV
) -> requests.Response:
    headers = stage.options(environment)["default_headers"]
    return requests.post(stage.address + path, json=body, headers=headers, timeout=60)


def asked(stage: Stage, path: str, body: dict[str, Any], environment: str = ENV) -> Any:
    answer = send(stage, path, {"model": BASE, **body}, environment)
    return answer.status_code, answer.headers.get("x-admissibility-reason")


def inputs(made: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    part = {"type": "file", "file": {"file_id": made["file"]}}
    output = [{"type": "input_image", "file_id": made["file"]}]
    tool = {"type": "code_interpreter", "container": made["container"]}
    return [
        (CHAT, {"messages": [{"role": "user", "content": [part]}]}),
        (
            RESPONSES,
            {"input": [{"type": "function_call_output", "call_id": "c", "output": output}]},
        ),
        (
            RESPONSES,
            {
                "input": "hi",
                "tools": [{"type": "file_search", "vector_store_ids": [made["vector_store"]]}],
            },
        ),
        (RESPONSES, {"input": "hi", "tools": [tool]}),
    ]


def test_an_input_is_its_environments_wherever_it_is_named(
    stage: Stage, made: dict[str, str]
) -> None:
    reached = len(stage.provider.requests)
    foreign = [asked(stage, *call, OTHER_ENV) for call in inputs(made)]
    assert (foreign, len(stage.provider.requests)) == ([REFUSED] * 4, reached)
    assert [asked(stage, *call) for call in inputs(made)] == [ADMITTED] * 4


def test_an_input_that_no_gate_registered_is_refused_in_the_same_words(
    stage: Stage, made: dict[str, str]
) -> None:
    texts = []
    for name, environment in ((made["file"], OTHER_ENV), ("file-stranger", ENV)):
        part = {"type": "file", "file": {"file_id": name}}
        body = {"model": BASE, "messages": [{"role": "user", "content": [part]}]}
        error = send(stage, CHAT, body, environment).json()["error"]
        texts.append(error["message"].replace(name, "X"))
    assert texts[0] == texts[1]
    assert "the file X, named as input, is not registered for this environment" in texts[0]
    assert "create it through the gate from this environment" in texts[0]


@pytest.mark.parametrize("environment", [ENV, OTHER_ENV])
def test_a_line_of_a_batch_names_its_environments_inputs_alone(
    environment: str, stage: Stage, made: dict[str, str]
) -> None:
    part = {"type": "file", "file": {"file_id": made["file"]}}
    bodies = [
        {"model": BASE, "messages": [{"role": "user", "content": content}]}
        for content in ("hi", [part], "there")
    ]
    text = "".join(
        json.dumps({"custom_id": str(n), "method": "POST", "url": CHAT, "body": body}) + "\n"
        for n, body in enumerate(bodies)
    )
    answer = requests.post(
        f"{stage.address}/v1/files",
        files={"file": ("lines.jsonl", text.encode())},
        data={"purpose": "batch"},
        headers=stage.options(environment)["default_headers"],
        timeout=60,
    )
    told = answer.status_code, answer.headers.get("x-admissibility-reason")
    if environment == ENV:
        assert told == ADMITTED
    else:
        assert told == REFUSED
        assert "line 2 of the batch file: the file" in answer.json()["error"]["message"]


def test_where_the_operator_lets_unregistered_inputs_pass_another_environments_is_refused(
    stage: Stage, made: dict[str, str]
) -> None:
    found = []
    expired = _expired(stage, made["file"])
    with restarted(stage, {**REGISTRATION, "unregistered_inputs": "pass"}):
        for name, environment in (
            ("file-stranger", ENV),
            (made["file"], ENV),
            (made["file"], OTHER_ENV),
            (expired, ENV),
            (expired, OTHER_ENV),
        ):
            content = [{"type": "file", "file": {"file_id": name}}]
            body = {"messages": [{"role": "user", "content": content}]}
            found.append(asked(stage, CHAT, body, environment))
    assert found == [ADMITTED, ADMITTED, REFUSED, ADMITTED, REFUSED]


def _expired(stage: Stage, name: str) -> str:
    """Register another file like one, so long ago that the gate removes it when it starts."""
    folder = stage.site.folder
    key = open_or_create(folder / "registration.pem")
    store = RegistrationStore.at(folder / "registrations", key)
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=90)
    other = f"{name}-long-ago"
    found = store.find(Key("openai", "openai", "file", name), ENV, datetime.now(UTC))
    store.put(replace(found, id=other, window=Window(start, start + timedelta(days=30))))
    return other


def test_with_registration_off_no_owner_is_known_and_inputs_pass(
    stage: Stage, made: dict[str, str]
) -> None:
    with restarted(stage, None):
        assert [asked(stage, *call, OTHER_ENV) for call in inputs(made)[:1]] == [ADMITTED]


def in_sandbox(stage: Stage, path: str, body: dict[str, Any], environment: str) -> str:
    """Ask the gate as Envoy does for a sandbox route; return the reason."""
    question = as_check_request(
        path=path,
        body=json.dumps({"model": MODEL, **body}).encode(),
        credential=stage.options(environment)["default_headers"][HEADER],
    )
    question.attributes.context_extensions["sandbox"] = "true"
    with grpc.insecure_channel(stage.gate.listen) as channel:
        answer: pb.CheckResponse = rpc.AuthorizationStub(channel).Check(question, timeout=30)
    headers = {each.header.key: each.header.value for each in answer.denied_response.headers}
    return str(headers["x-admissibility-reason"])


def test_a_sandbox_reads_nothing_of_another_environment(stage: Stage, made: dict[str, str]) -> None:
    """The owner comes as far as the grant that a sandbox needs, which nobody has here."""
    for path, body in inputs(made):
        assert in_sandbox(stage, path, body, OTHER_ENV) == "object_unregistered"
        assert in_sandbox(stage, path, body, ENV) == "sandbox_not_granted"
