"""Azure's stored objects, in both shapes: each model of theirs is a deployment that was bound.

`envoy/registration.yaml`, changed as its guide says, real gate and OPA, and the provider's own SDK.
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import openai
import pytest
import requests

from envoy_extauthz_lint import Severity, lint
from sidecar.cli.lint_options import lint_options
from tests.process.registration.stage import (
    AZURE_HOST,
    CREDENTIALS,
    DEPLOYMENTS,
    OTHER_ENV,
    Stage,
    code_of,
    configuration,
    lines,
)
from tests.support.simulator.constants import ENV, MODEL

SUPPORT, EUROPE = DEPLOYMENTS
UNREGISTERED = (403, "object_unregistered")
SHAPES = {"v1": "/openai/v1/{}", "dated": "/openai/{}?api-version=2025-04-01-preview"}


PROVIDER = "azure"


@pytest.fixture(params=SHAPES)
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def client(stage: Stage, shape: str, environment: str = ENV) -> openai.OpenAI:
    """The SDK as Azure's guides set it up for this shape."""
    key = f"{shape} {environment}"
    if key not in stage.clients:
        options = stage.options(environment)
        if shape == "v1":
            stage.clients[key] = openai.OpenAI(base_url=f"{stage.address}/openai/v1/", **options)
        else:
            stage.clients[key] = openai.AzureOpenAI(
                azure_endpoint=stage.address, api_version="2025-04-01-preview", **options
            )
    return stage.clients[key]


def run(stage: Stage, shape: str, name: str, environment: str = ENV, **more: Any) -> Any:
    return client(stage, shape, environment).batches.create(
        input_file_id=name, endpoint="/v1/chat/completions", completion_window="24h", **more
    )


def uploaded(stage: Stage, shape: str, content: bytes) -> str:
    files = client(stage, shape).files
    return files.create(file=("lines.jsonl", content), purpose="batch").id


def asked(stage: Stage, wanted: int) -> list[tuple[str, list[str]]]:
    return [(entry["operation"], entry["models"]) for entry in stage.decisions(wanted)]


def test_the_changes_for_azure_let_nothing_pass_unchecked() -> None:
    report = lint(configuration("azure").encode(), lint_options())
    assert [one for one in report.findings if one.severity is not Severity.NOTE] == []


def test_a_response_is_built_on_with_both_deployments_asked_about(stage: Stage, shape: str) -> None:
    create = client(stage, shape).responses.create
    first = create(model=SUPPORT, input="hello")
    assert create(model=EUROPE, input="and", previous_response_id=first.id)
    assert asked(stage, 2) == [("responses", [SUPPORT]), ("responses", [EUROPE, SUPPORT])]
    reached = len(stage.provider.requests)
    other = client(stage, shape, OTHER_ENV).responses.create
    assert [
        code_of(lambda: other(model=EUROPE, input="and", previous_response_id=first.id)),
        code_of(lambda: create(model=EUROPE, input="and", previous_response_id="resp_stranger")),
        code_of(lambda: create(model=MODEL, input="past the binding")),
    ] == [UNREGISTERED, UNREGISTERED, (403, "deployment_unbound")]
    assert len(stage.provider.requests) == reached
    (_, received) = stage.provider.took("POST", SHAPES[shape].format("responses"))
    sent = {name: received.headers.get(name) for name in ("host", "api-key", "authorization")}
    assert sent == {
        "host": AZURE_HOST,
        "api-key": CREDENTIALS["azure"],
        "authorization": None,
    }


@pytest.mark.parametrize(
    "url", ["/chat/completions", "/v1/chat/completions"], ids=["older lines", "newer lines"]
)
def test_the_lines_of_a_batch_name_deployments_that_are_bound(
    stage: Stage, shape: str, url: str
) -> None:
    content = lines(SUPPORT, EUROPE, url=url)
    made = uploaded(stage, shape, content)
    (received,) = stage.provider.took("POST", SHAPES[shape].format("files"))
    assert content in received.body
    assert run(stage, shape, made).input_file_id == made
    assert asked(stage, 3) == [
        ("files.create", []),
        ("chat.completions", [SUPPORT, EUROPE]),
        ("batches.create", [SUPPORT, EUROPE]),
    ]
    reached = len(stage.provider.requests)
    assert [
        code_of(lambda: run(stage, shape, made, OTHER_ENV)),
        code_of(lambda: run(stage, shape, "file-stranger")),
        code_of(lambda: uploaded(stage, shape, lines(SUPPORT, "other", url=url))),
        code_of(lambda: uploaded(stage, shape, lines(MODEL, url=url))),
    ] == [UNREGISTERED, UNREGISTERED, (403, "deployment_unbound"), (403, "deployment_unbound")]
    assert len(stage.provider.requests) == reached


@pytest.mark.parametrize(
    "url",
    ["/openai/v1/chat/completions", "/deployments/support/chat/completions", "/v1/files"],
)
def test_a_line_that_azure_would_not_read_so_is_refused(stage: Stage, url: str) -> None:
    refused = code_of(lambda: uploaded(stage, "v1", lines(SUPPORT, url=url)))
    assert (refused, stage.provider.requests) == ((403, "unsupported_operation"), [])


def test_a_batch_from_a_blob_that_nobody_read_is_refused(stage: Stage, shape: str) -> None:
    made = uploaded(stage, shape, lines(SUPPORT))
    reached = len(stage.provider.requests)
    blob = {"input_blob": "https://acme.blob.core.windows.net/in/lines.jsonl"}
    assert [
        code_of(lambda: run(stage, shape, made, extra_body=blob)),
        code_of(lambda: run(stage, shape, None, extra_body=blob)),  # type: ignore[arg-type]
    ] == [(403, "unsupported_operation")] * 2
    assert len(stage.provider.requests) == reached


@pytest.mark.alone
def test_a_withdrawal_reaches_what_a_deployment_had_a_part_in(stage: Stage, shape: str) -> None:
    create = client(stage, shape).responses.create
    first = create(model=SUPPORT, input="hello")
    made = uploaded(stage, shape, lines(SUPPORT))
    regulator = stage.site.world.parties["regulator"]
    regulator.withdraw("model", f"azure/{MODEL}")
    stage.site.publish(regulator)
    end, code = time.monotonic() + 30, None
    while code is None and time.monotonic() < end:
        try:
            run(stage, shape, made)
        except openai.PermissionDeniedError as error:
            code = error.code
    assert code == "withdrawn"
    reached = len(stage.provider.requests)
    assert [
        code_of(lambda: create(input="and", previous_response_id=first.id)),
        code_of(lambda: uploaded(stage, shape, lines(SUPPORT))),
    ] == [(403, "withdrawn")] * 2
    assert len(stage.provider.requests) == reached


def test_what_is_registered_says_which_names_are_deployments(stage: Stage) -> None:
    client(stage, "v1").responses.create(model=SUPPORT, input="hello")
    payloads = [
        json.loads(base64.b64decode(json.loads(record.read_bytes())["payload"]))
        for record in stage.records()
    ]
    assert {payload["kind"] for payload in payloads} == {"response", "item"}
    assert [(each["provider"], each["api"], each["uses"]) for each in payloads] == 2 * [(
        "azure",
        "azure",
        [{"operation": "responses", "models": [SUPPORT], "tuned": [], "deployments": [SUPPORT],
          "modalities": [], "toolTypes": []}],
    )]  # fmt: skip


@pytest.mark.alone
def test_a_bodys_model_is_ignored_as_azure_ignores_it_where_the_operator_lets_it(
    stage: Stage,
) -> None:
    """LangChain's class for Azure names the base model in the body, for its own tracing."""

    def chat() -> Any:
        path = f"/openai/deployments/{SUPPORT}/chat/completions?api-version=2024-10-21"
        body = {"model": "gpt-4o-2024-08-06", "messages": [{"role": "user", "content": "x"}]}
        headers = stage.options()["default_headers"]
        return requests.post(stage.address + path, json=body, headers=headers, timeout=60)

    refused = chat()
    assert (refused.status_code, stage.provider.requests) == (400, [])
    message = refused.json()["error"]["message"]
    assert all(part in message for part in (SUPPORT, "gpt-4o-2024-08-06", "azure_body_model"))
    stage.restart(azure_body_model="ignore")
    assert chat().status_code == 200
    (received,) = stage.provider.requests
    assert json.loads(received.body)["model"] == "gpt-4o-2024-08-06"
    last = stage.decisions(2)[-1]
    assert (last["outcome"], last["models"], last["ignored"]) == (
        "allow",
        [SUPPORT],
        ["gpt-4o-2024-08-06"],
    )
