"""No key and no header beside the one that counts can change which model is run."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import Any

import pytest

from sidecar.core import strict_json
from sidecar.core.call import Call
from sidecar.core.reasons import Reason
from sidecar.providers import PROVIDERS
from sidecar.providers.overrides import (
    MAX_KEY_CHARS,
    OVERRIDES,
    OVERRIDING_HEADERS,
    OVERRIDING_PREFIXES,
    key_overrides,
)
from tests.support.gate.requests import as_check_request, json_body
from tests.support.gate.small_requests import chat, outcome
from tests.support.tables import check_each

ROWS = [row for api in PROVIDERS.values() for row in api.operations]
WITH_MODEL = [row for row in PROVIDERS["openai"].operations if "model" in row.reads]


@pytest.mark.parametrize(
    ("body", "where", "key"),
    [
        ('{"model":"m","Model":"n"}', "body", "Model"),
        ('{"MODEL":"n"}', "body", "MODEL"),
        ('{"model":"m","\uff4dodel":"n"}', "body", "\uff4dodel"),
        ('{"model":"m","moderation":{"moDel":"n"}}', "moderation", "moDel"),
        ('{"model":"m","tools":[{"type":"x","Model":"n"}]}', "tools[]", "Model"),
    ],
)
def test_a_twin_of_a_model_key_is_ambiguous(body: str, where: str, key: str) -> None:
    why = f"{where}: the key {key!r} is a twin of 'model'"
    assert chat(body.encode()) == (Reason.AMBIGUOUS_MODEL, why)


def test_a_twin_of_a_key_on_the_way_is_ambiguous() -> None:
    body = b'{"model":"m","Tools":[{"type":"x","model":"n"}]}'
    why = "body: the key 'Tools' is a twin of 'tools'"
    assert chat(body) == (Reason.AMBIGUOUS_MODEL, why)


def path_of(row: Any) -> str:
    """A path of the row, with an id wherever its route has one."""
    return re.sub(r"\{\w+\}", "stored_1", row.route)


def test_a_key_that_could_run_another_model_is_ambiguous() -> None:
    def check(case: tuple[Any, str]) -> None:
        row, key = case
        expected = (Reason.AMBIGUOUS_MODEL, f"the key {key} could make a server run another model")
        for spelling in (key, key.upper()):
            body = json.dumps({"model": "m", spelling: "other"}).encode()
            assert outcome(as_check_request(path=path_of(row), body=body)) == expected

    check_each(
        product(WITH_MODEL, sorted(OVERRIDES)), check, lambda case: f"{case[0].name} {case[1]}"
    )


NAMING_KEYS = (
    *("models", "model_list", "model_id", "modelId", "ModelName", "MODEL_UID", "safety_model"),
    *("draftModel", "speculative_model", "target_model_names", "x-model"),
    *("adapter_id", "merged_adapters", "lora_path", "loras", "deployment_name", "Deployments"),
    *("\uff4dodel_id", "specific_deployment"),
)


def test_a_key_with_a_word_for_what_is_run_is_ambiguous() -> None:
    def check(case: tuple[Any, str]) -> None:
        row, key = case
        body = json_body(model="m", **{key: "other"})
        refused = outcome(as_check_request(path=path_of(row), body=body))
        assert refused == (
            Reason.AMBIGUOUS_MODEL,
            f"the key {strict_json.fold(key)} could make a server run another model",
        )

    check_each(product(WITH_MODEL, NAMING_KEYS), check, lambda case: f"{case[0].name} {case[1]}")


@pytest.mark.parametrize(
    "key",
    ["litellm_params", "aws_region_name", "vertex_project", "azure_ad_token", "extra_headers"],
)
def test_a_key_that_takes_another_account_of_a_gateways_is_ambiguous(key: str) -> None:
    assert chat(json_body(model="m", **{key: "other"})) == (
        Reason.AMBIGUOUS_MODEL,
        f"the key {key} could make a server run another model",
    )


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize("key", ["models", "Models", "model_id", "modelId", "MODEL-NAME"])
def test_a_model_below_the_top_is_ambiguous_whatever_its_key_adds(key: str, escaped: bool) -> None:
    body = json_body(model="m", x={"gateway": [{key: ["other"]}]})
    if escaped:
        body = body.replace(key.encode(), f"\\u{ord(key[0]):04x}{key[1:]}".encode())
    assert chat(body) == (
        Reason.AMBIGUOUS_MODEL,
        f"x.gateway[].{key}: a key that could run a model which this operation does not read;"
        " leave it out",
    )


@pytest.mark.parametrize("key", ["modelling", "remodel", "modality"])
def test_a_key_below_the_top_that_only_sounds_like_a_model_is_let_through(key: str) -> None:
    body = json_body(model="m", x={key: 1})
    assert chat(body) == Call("openai", "chat.completions", ("m",))


def test_the_words_of_a_key_of_megabytes_are_not_told_apart() -> None:
    assert key_overrides("model_" + "a" * (MAX_KEY_CHARS - 6))
    assert not key_overrides("model_" + "a" * (MAX_KEY_CHARS - 5))


@pytest.mark.parametrize(
    "key", ["modelling", "remodel", "metadata", "modalities", "explore", "top_p", "tool_choice"]
)
def test_a_key_that_only_sounds_like_such_a_word_is_let_through(key: str) -> None:
    assert not key_overrides(key)


@pytest.mark.parametrize(
    "name",
    [
        *sorted(OVERRIDING_HEADERS),
        *(f"{prefix}x" for prefix in OVERRIDING_PREFIXES),
        *("x-model", "x-model-id", "azureml-model-deployment", "x-ms-model-mesh-model-name"),
        *("x-ms-oai-image-generation-deployment", "serve_multiplexed_model_id", "x-lora-id"),
        *("x-amzn-sagemaker-target-model", "x-gateway-model-name", "x-wait-for-model"),
    ],
)
def test_a_header_that_could_change_the_call_is_ambiguous(name: str) -> None:
    expected = (
        Reason.AMBIGUOUS_MODEL,
        f"the header {name} could make a server run another model; leave it out",
    )
    assert chat(b'{"model":"m"}', headers=[(name, "x")]) == expected


@pytest.mark.parametrize(
    "name",
    [
        *("user-agent", "accept", "traceparent", "baggage", "idempotency-key", "openai-beta"),
        *("x-stainless-lang", "x-stainless-retry-count", "x-client-request-id", "x-request-id"),
        *("anthropic-version", "anthropic-beta", "x-amz-date", "x-amzn-bedrock-trace"),
        *(
            "x-amzn-bedrock-guardrailidentifier",
            "http-referer",
            "x-title",
            "x-ms-client-request-id",
        ),
    ],
)
def test_a_header_that_sdks_send_is_let_through(name: str) -> None:
    assert chat(b'{"model":"m"}', headers=[(name, "x")]) == Call(
        "openai", "chat.completions", ("m",)
    )


def test_no_key_is_both_read_and_refused() -> None:
    read = {name.split(".")[0].rstrip("[]") for row in ROWS for name in (*row.reads, *row.form)}
    agents, options = {"agent", "agent_id"}, {"extra_body", "api_version"}  # Gemini's, Cohere's
    assert read & OVERRIDES == agents | options
