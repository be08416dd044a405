"""Which table a request is read by, what each refuses, and what names a model."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.core.call import Call
from sidecar.core.reasons import Reason
from sidecar.providers import PROVIDERS, shut_operations
from sidecar.providers.json_paths import Role
from sidecar.providers.operation import Kind
from tests.support.gate.asking import ambiguous, ask, post
from tests.support.gate.requests import as_check_request

# ---- which table ---------------------------------------------------------------------------------


def test_the_route_chooses_the_table_and_the_provider_whose_manifests_count() -> None:
    message = as_check_request(
        provider="acme-gpu", api="vllm", path="/pooling", body=b'{"model":"m"}'
    )
    assert ask(message) == Call("acme-gpu", "pooling", ("m",))


@pytest.mark.parametrize(("provider", "api"), [("nobody", None), ("openai", "OpenAI")])
def test_a_route_without_a_table_is_refused(provider: str, api: str | None) -> None:
    assert ask(as_check_request(provider=provider, api=api)) == (
        Reason.UNSUPPORTED_OPERATION,
        f"this route's api is {api or provider!r}; have the operator set context_extensions.api"
        f" to one of {', '.join(PROVIDERS)}",
    )


# ---- open weights --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("api", "path"),
    [
        ("vllm", "/v1/load_lora_adapter"),
        ("vllm", "/invocations"),
        ("vllm", "/inference/v1/generate"),
        ("vllm", "/update_weights"),
        ("vllm", "/collective_rpc"),
        ("sglang", "/generate"),
        ("sglang", "/update_weights_from_disk"),
        ("ollama", "/api/pull"),
        ("ollama", "/api/create"),
    ],
)
def test_administrative_operations_are_refused(api: str, path: str) -> None:
    outcome = post(api, path, {"model": "m"})
    assert not isinstance(outcome, Call)
    assert outcome[0] is Reason.UNSUPPORTED_OPERATION


@pytest.mark.parametrize("body", [{"model": ""}, {"model": None}, {}])
def test_a_server_that_would_run_its_base_model_is_given_a_name(body: Any) -> None:
    outcome = post("vllm", "/v1/chat/completions", body)
    assert not isinstance(outcome, Call)
    assert outcome[0] is Reason.MALFORMED_REQUEST


def test_an_adapter_beside_the_model_is_refused() -> None:
    body = {"model": "base", "lora_path": "other"}
    assert post("sglang", "/v1/chat/completions", body) == ambiguous(
        "the key lora_path could make a server run another model"
    )


def test_an_adapter_after_its_base_is_one_name_and_bound_like_a_deployment() -> None:
    """Whatever stands before the colon, the adapter runs; no base model's pattern may cover it."""
    body = {"model": "base:adapter"}
    name = ("base:adapter",)
    assert post("sglang", "/v1/chat/completions", body) == Call(
        "sglang", "chat.completions", name, deployments=name
    )
    plain = Call("sglang", "chat.completions", ("base",))
    assert post("sglang", "/v1/chat/completions", {"model": "base"}) == plain


def test_a_tag_that_can_be_pulled_anew_is_a_deployment() -> None:
    body = {"model": "llama3:8b", "messages": []}
    assert post("ollama", "/api/chat", body) == Call(
        "ollama", "chat.completions", ("llama3:8b",), stream=True, deployments=("llama3:8b",)
    )


@pytest.mark.parametrize(
    ("written", "judged"),
    [
        *(
            (name, "support")
            for name in (
                "support",
                "support:latest",
                "library/support",
                "registry.ollama.ai/library/support:latest",
                "https://registry.ollama.ai/library/support",
            )
        ),
        ("library/support:v3", "support:v3"),
        ("registry.ollama.ai/acme/support:latest", "acme/support"),
        ("hf.co/acme/Support-GGUF:latest", "hf.co/acme/Support-GGUF"),
        ("hf.co/library/support:Q4_K_M", "hf.co/library/support:Q4_K_M"),
        ("localhost:5000/library/support", "localhost:5000/library/support"),
        ("support:", "support:"),
    ],
)
def test_law_1_a_tag_has_one_name_however_a_call_writes_it(written: str, judged: str) -> None:
    found = post("ollama", "/v1/chat/completions", {"model": written, "messages": []})
    assert isinstance(found, Call)
    assert found.deployments == (judged,)


# ---- the tables themselves -----------------------------------------------------------------------

ROWS = [(api.name, row) for api in PROVIDERS.values() for row in api.operations]


def test_a_row_reads_what_could_name_a_model_or_says_why_it_need_not() -> None:
    for api, row in ROWS:
        names = row.has_main or row.reads or row.form or "{" in row.route
        if row.kind is not Kind.MODELLESS and not row.never:
            assert names, (api, row.name)
        if row.kind is Kind.MODELLESS:
            assert row.shut, (api, row.name)
            assert not row.has_main, (api, row.name)
            roles = {*row.reads.values(), *row.form.values(), *row.query.values()}
            assert not roles & {Role.MODEL, Role.TUNED, Role.MODELS_BELOW}, (api, row.name)
        assert not (row.shut and row.never), (api, row.name)


def test_only_a_row_that_is_shut_can_be_opened() -> None:
    named = {row.name for _, row in ROWS if not row.shut}
    assert not shut_operations() & named


@pytest.mark.parametrize("api", ["vllm", "sglang"])
def test_a_document_that_is_ranked_is_the_callers_data(api: str) -> None:
    body = b'{"model":"m","query":"q","documents":[{"text":"t","model_id":"T"}]}'
    found = ask(as_check_request(provider="acme-gpu", api=api, path="/v1/rerank", body=body))
    assert found == Call("acme-gpu", "rerank", ("m",))
