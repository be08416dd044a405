"""Vertex AI: base models, tuned models behind endpoints, and what chooses a model elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sidecar.core.call import Call, Reference
from sidecar.core.reasons import Reason
from tests.support.gate.asking import Outcome, ambiguous, get, post

HOME = "/v1/projects/acme/locations/europe-west4"
ENDPOINT = "projects/acme/locations/europe-west4/endpoints/1234567890"
BASE = "publishers/google/models/gemini-2.5-flash"
ASKED: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


def test_a_tuned_model_is_its_endpoint_and_bound_like_a_deployment() -> None:
    tuned = Call("vertex", "generate_content", (ENDPOINT,), deployments=(ENDPOINT,))
    assert post("vertex", f"/v1beta1/{ENDPOINT}:generateContent", ASKED) == tuned


def test_a_base_model_is_the_publishers_model_in_the_path_and_a_stream_is_one() -> None:
    call = Call("vertex", "generate_content", (BASE,), stream=True)
    path = f"{HOME}/{BASE}:streamGenerateContent?alt=sse"
    assert post("vertex", path, ASKED) == call


def test_the_compatible_endpoint_names_the_model_in_the_body() -> None:
    path = f"{HOME}/endpoints/openapi/chat/completions"
    body = {"model": "google/gemini-2.5-flash", "messages": []}
    assert post("vertex", path, body) == Call("vertex", "chat.completions", (BASE,))
    other = "publishers/meta/models/llama-4-maas"
    for written in ("meta/llama-4-maas", other):
        call = Call("vertex", "chat.completions", (other,))
        assert post("vertex", path, {**body, "model": written}) == call
    assert post("vertex", path, {**body, "model": "meta/llama/4"}) == (
        Reason.UNSUPPORTED_OPERATION,
        "meta/llama/4 is a router that chooses models; name a model",
    )


CLAUDE = "publishers/anthropic/models/claude-sonnet-4-5@20250929"


def test_a_model_of_anthropics_is_named_in_the_path_as_its_sdk_does() -> None:
    body = {"anthropic_version": "vertex-2023-10-16", "max_tokens": 8, "messages": []}
    call = Call("vertex", "messages", (CLAUDE,))
    assert post("vertex", f"{HOME}/{CLAUDE}:rawPredict", body) == call
    streamed = post("vertex", f"{HOME}/{CLAUDE}:streamRawPredict", {**body, "stream": True})
    assert streamed == replace(call, stream=True)
    tool = {"type": "web_search_20250305", "name": "web_search"}
    offered = post("vertex", f"{HOME}/{CLAUDE}:rawPredict", {**body, "tools": [tool]})
    assert offered == replace(call, tool_types=("web_search_20250305",))


@pytest.mark.parametrize(
    ("path", "more"),
    [
        (f"{HOME}/{CLAUDE}:rawPredict", {"model": "claude-opus-4-6"}),
        (f"{HOME}/{CLAUDE}:rawPredict", {"fallbacks": [{"model": "claude-opus-4-6"}]}),
        (f"{HOME}/{CLAUDE}:rawPredict", {"tools": [{"name": "a", "model": "claude-opus-4-6"}]}),
        (f"{HOME}/{CLAUDE}:rawPredict", {"container": "container_1"}),
        (f"{HOME}/publishers/anthropic/models/count-tokens:rawPredict", {"model": "claude"}),
        (f"{HOME}/publishers/mistralai/models/mistral-large:rawPredict", {}),
        (f"{HOME}/{CLAUDE}:predict", {}),
    ],
)
def test_nothing_else_is_run_under_the_name_of_anthropics_model(path: str, more: Any) -> None:
    refused = post("vertex", path, {"max_tokens": 8, "messages": [], **more})
    assert isinstance(refused, tuple), refused


@pytest.mark.parametrize("inside", ["google", "extra_body"])
def test_geminis_options_in_openais_form_pass_and_cached_content_does_not(inside: str) -> None:
    """Google documents them below ``extra_body``, and SDKs can send them without it."""

    def asked(options: dict[str, Any]) -> Outcome:
        body = {"model": "google/gemini-2.5-flash", "messages": []}
        more = {"google": options}
        more = {"extra_body": more} if inside == "extra_body" else more
        return post("vertex", f"{HOME}/endpoints/openapi/chat/completions", {**body, **more})

    call = asked({"thinking_config": {"thinking_budget": 128}})
    assert call == Call("vertex", "chat.completions", (BASE,))
    place = "google" if inside == "google" else "extra_body.google"
    for key in ("cached_content", "cachedContent"):
        assert asked({key: "projects/p/locations/l/cachedContents/7"}) == (
            Reason.UNSUPPORTED_OPERATION,
            f"chat.completions with {place}.{key}: what is stored upstream may name another model",
        )


@pytest.mark.parametrize("name", ["gemini-2.5-flash", "google/gemini-2.5-flash", BASE])
@pytest.mark.parametrize("key", ["baseModel", "base_model"])
def test_a_tuning_job_names_the_model_that_it_tunes_in_every_spelling(key: str, name: str) -> None:
    found = post("vertex", f"{HOME}/tuningJobs", {key: name, "supervisedTuningSpec": {}})
    assert found == Call("vertex", "fine_tuning.jobs.create", (), tuned=(BASE,))


JUDGED = (
    lambda judge: {"supervisedTuningSpec": {"evaluationConfig": judge}},
    lambda judge: {"supervised_tuning_spec": {"evaluation_config": judge}},
    lambda judge: {"preferenceOptimizationSpec": {"evaluationConfig": judge}},
    lambda judge: {"distillationSpec": {"evaluationConfig": judge}},
    lambda judge: {
        "reinforcementTuningSpec": {
            "singleRewardConfig": {
                "rewardName": "r",
                "autoraterScorer": {**judge, "autoraterPrompt": "score it"},
            }
        }
    },
    lambda judge: {
        "reinforcementTuningSpec": {
            "compositeRewardConfig": {
                "weightedRewardConfigs": [
                    {"weight": 1.0, "rewardConfig": {"autoraterScorer": judge}}
                ]
            }
        }
    },
)


@pytest.mark.parametrize("spec", JUDGED)
def test_a_judge_of_a_tuning_job_is_a_model_like_any_other(spec: Any) -> None:
    def asked(name: str | None) -> Any:
        keys = ("autorater_config", "autorater_model")
        if "supervised_tuning_spec" not in spec({}):
            keys = ("autoraterConfig", "autoraterModel")
        body = {"baseModel": "gemini-2.5-flash", **spec({keys[0]: {keys[1]: name}})}
        return post("vertex", f"{HOME}/tuningJobs", body)

    call = Call("vertex", "fine_tuning.jobs.create", (ENDPOINT,), tuned=(BASE,))
    assert asked(ENDPOINT) == replace(call, deployments=(ENDPOINT,))
    assert asked("gemini-2.5-pro") == replace(
        call, models=("publishers/google/models/gemini-2.5-pro",)
    )
    unnamed = asked(None)
    assert not isinstance(unnamed, Call)
    assert unnamed[0] is Reason.AMBIGUOUS_MODEL
    assert "the provider would choose that model; name it" in unnamed[1]


@pytest.mark.parametrize(
    ("spec", "place"),
    [
        ({"distillationSpec": {"studentModel": "gemini-2.5-pro"}}, "distillationSpec.studentModel"),
        (
            {"supervisedTuningSpec": {"evaluation_config": {"autoraterConfig": {}}}},
            "supervisedTuningSpec.evaluation_config.autoraterConfig",
        ),
        (
            {
                "supervisedTuningSpec": {
                    "evaluationConfig": {
                        "metrics": [{"llmBasedMetricSpec": {"judgeAutoraterConfig": {}}}]
                    }
                }
            },
            "supervisedTuningSpec.evaluationConfig.metrics[].llmBasedMetricSpec.judgeAutoraterConfig",
        ),
        (
            {
                "supervisedTuningSpec": {
                    "evaluationConfig": {
                        "inferenceGenerationConfig": {"routingConfig": {"autoMode": {}}}
                    }
                }
            },
            "supervisedTuningSpec.evaluationConfig.inferenceGenerationConfig.routingConfig",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_model_anywhere_else_in_a_tuning_job_is_refused_by_its_place(
    spec: Any, place: str
) -> None:
    body = {"baseModel": "gemini-2.5-flash", **spec}
    assert post("vertex", f"{HOME}/tuningJobs", body) == ambiguous(
        f"{place}: a key that could run a model which this operation does not read; leave it out"
    )


@pytest.mark.parametrize("spec", ["supervisedTuningSpec", "supervised_tuning_spec"])
def test_the_size_of_the_adapter_that_is_made_is_no_model(spec: str) -> None:
    names = (
        ("hyper_parameters", "adapter_size") if "_" in spec else ("hyperParameters", "adapterSize")
    )
    body = {"baseModel": "gemini-2.5-flash", spec: {names[0]: {names[1]: "ADAPTER_SIZE_ONE"}}}
    call = Call("vertex", "fine_tuning.jobs.create", (), tuned=(BASE,))
    assert post("vertex", f"{HOME}/tuningJobs", body) == call


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (
            {"instances": [{"inputs": "hi", "parameters": {"adapter_id": "other"}}]},
            "instances[].parameters.adapter_id",
        ),
        ({"instances": [["hi"]], "parameters": {"loraId": "other"}}, "parameters.loraId"),
    ],
)
def test_an_instance_chooses_no_adapter_behind_the_endpoint(body: Any, place: str) -> None:
    assert post("vertex", f"/v1/{ENDPOINT}:predict", body) == ambiguous(
        f"{place}: a key that could run a model which this operation does not read; leave it out"
    )


def test_an_instance_names_no_other_model_of_the_endpoints_server() -> None:
    body = {"instances": [{"@requestFormat": "chatCompletions", "messages": [], "model": "other"}]}
    assert post("vertex", f"/v1/{ENDPOINT}:predict", body) == ambiguous(
        "instances[].model: a model at a path where this operation reads none"
    )


def test_instances_of_any_other_form_are_predicted() -> None:
    body = {
        "instances": [{"content": "a model of clarity", "task_type": "RETRIEVAL_QUERY"}, [1, 2], 3],
        "parameters": {"outputDimensionality": 256, "autoTruncate": True},
        "labels": {"model": "team"},
    }
    call = Call("vertex", "predict", (ENDPOINT,), deployments=(ENDPOINT,))
    assert post("vertex", f"/v1/{ENDPOINT}:predict", body) == call


@pytest.mark.parametrize(
    ("verb", "body", "operation"),
    [
        (
            "embedContent",
            {
                "content": {"parts": [{"text": "hi"}]},
                "embedContentConfig": {"taskType": "RETRIEVAL_QUERY", "autoTruncate": True},
            },
            "embeddings",
        ),
        ("computeTokens", {"contents": [{"parts": [{"text": "hi"}]}]}, "count_tokens"),
    ],
)
def test_embeddings_and_tokens_are_of_the_model_in_the_path(
    verb: str, body: Any, operation: str
) -> None:
    path = f"/v1beta1/projects/acme/locations/europe-west4/{BASE}:{verb}"
    assert post("vertex", path, body) == Call("vertex", operation, (BASE,))
    named = {**body, "model": "google/gemini-2.5-pro"}
    assert post("vertex", path, named) == ambiguous(
        "model: a model at a path where this operation reads none"
    )


def test_a_tuning_job_is_its_owners_whichever_name_of_the_project_the_path_has() -> None:
    opened = frozenset({"fine_tuning.jobs.retrieve", "fine_tuning.jobs.cancel"})
    owned = (Reference("fine_tuning_job", "42"),)
    call = Call("vertex", "fine_tuning.jobs.retrieve", (), modelless=True, owned=owned)
    for home in (HOME, "/v1/projects/123456789012/locations/europe-west4"):
        assert get("vertex", f"{home}/tuningJobs/42", opened=opened) == call
        cancelled = get("vertex", f"{home}/tuningJobs/42:cancel", opened=opened, method="POST")
        assert cancelled == replace(call, operation="fine_tuning.jobs.cancel")


@pytest.mark.parametrize(
    "config",
    [
        {"generationConfig": {"routingConfig": {"autoMode": {}}}},
        {"generation_config": {"routing_config": {"autoMode": {}}}},
        {"generationConfig": {"model_config": {"featureSelectionPreference": "BALANCED"}}},
        {"cachedContent": "projects/1/locations/x/cachedContents/2"},
        {"cached_content": "projects/1/locations/x/cachedContents/2"},
    ],
    ids="/".join,
)
def test_what_has_the_service_choose_a_model_is_refused_in_either_spelling(config: Any) -> None:
    refused = post("vertex", f"/v1/{ENDPOINT}:generateContent", {**ASKED, **config})
    assert not isinstance(refused, Call)
    assert refused[0] is Reason.UNSUPPORTED_OPERATION
    assert "what is stored upstream may name another model" in refused[1]


def test_a_ranker_of_a_tool_is_a_model_like_any_other() -> None:
    ranked = {"ranking": {"llmRanker": {"modelName": "google/gemini-2.5-pro"}}}
    tools = [{"retrieval": {"vertexRagStore": {"ragRetrievalConfig": ranked}}}]
    call = Call(
        "vertex",
        "generate_content",
        (ENDPOINT, "publishers/google/models/gemini-2.5-pro"),
        deployments=(ENDPOINT,),
        tool_types=("retrieval",),
    )
    assert post("vertex", f"/v1/{ENDPOINT}:generateContent", {**ASKED, "tools": tools}) == call


def test_the_key_of_a_tool_is_its_type() -> None:
    tools = [{"functionDeclarations": [{"name": "f"}]}, {"googleSearch": {}, "codeExecution": {}}]
    found = post("vertex", f"/v1/{ENDPOINT}:generateContent", {**ASKED, "tools": tools})
    assert isinstance(found, Call)
    assert found.tool_types == ("codeExecution", "function", "googleSearch")


@pytest.mark.parametrize(
    "path",
    [
        f"{HOME}/publishers/google/models/a%2Fb:generateContent",
        f"{HOME}/publishers/google/models/..:generateContent",
        f"{HOME}/publishers/google/models/a:b:generateContent",
        "/v1/projects/a%2Fb/locations/x/endpoints/1:generateContent",
    ],
)
def test_a_resource_name_is_plainly_written_or_refused(path: str) -> None:
    refused = post("vertex", path, ASKED)
    assert not isinstance(refused, Call)
    assert refused[0] is Reason.MALFORMED_REQUEST


@pytest.mark.parametrize("verb", ["rawPredict", "undeployModel", "generatecontent", ""])
def test_no_other_verb_is_an_operation(verb: str) -> None:
    refused = post("vertex", f"/v1/{ENDPOINT}:{verb}", ASKED)
    assert not isinstance(refused, Call)
    assert refused[0] is Reason.UNSUPPORTED_OPERATION


def test_a_model_in_the_body_beside_the_path_is_refused() -> None:
    body = {**ASKED, "model": "google/gemini-2.5-pro"}
    assert post("vertex", f"/v1/{ENDPOINT}:generateContent", body) == ambiguous(
        "model: a model at a path where this operation reads none"
    )


@pytest.mark.parametrize(
    "part",
    [
        {"toolCall": {"args": {"model": "T", "models": ["S"]}}},
        {"tool_response": {"response": {"model_id": "T"}}},
        {"functionCall": {"name": "f", "args": {"model_name": "T"}}},
        {"text": "x", "partMetadata": {"models": ["T"]}},
    ],
)
def test_what_a_tool_was_given_and_answered_is_the_callers_data(part: Any) -> None:
    body = {"contents": [{"role": "user", "parts": [part]}]}
    called = post("vertex", f"{HOME}/{BASE}:generateContent", body)
    assert called == Call("vertex", "generate_content", (BASE,))


@pytest.mark.parametrize("key", ["modelSelectionConfig", "model_selection_config"])
def test_a_preference_by_which_the_service_chooses_a_model_is_refused(key: str) -> None:
    preferred = {key: {"featureSelectionPreference": "PRIORITIZE_COST"}}
    found = post("vertex", f"{HOME}/{BASE}:generateContent", {"generationConfig": preferred})
    assert found == ambiguous(
        f"generationConfig.{key}: a key that could run a model which this operation does not read;"
        " leave it out"
    )
