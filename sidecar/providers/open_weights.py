"""Servers of open weights that speak OpenAI's API: vLLM, SGLang, Ollama.

``model`` is the name of an adapter, or of the base model it stands on. Administration (loading an
adapter under a name that is approved, replacing weights) is refused: it would change what an
approved name runs.

SGLang does not compare ``model`` with what it serves: ``base:adapter`` runs the adapter that was
loaded under that name, whatever stands before the colon, and every other name runs the base model.
"""

from __future__ import annotations

from dataclasses import replace

from sidecar.providers import openai
from sidecar.providers.json_paths import Role, What
from sidecar.providers.operation import (
    Api,
    Named,
    Operation,
    always_a_deployment,
    carrier,
    never,
    prefixed,
)

_MODEL: dict[str, What] = {"model": Role.MODEL}

_OWN_WORDS: dict[str, What] = dict.fromkeys(
    ("guided_json", "structured_outputs", "documents", "chat_template_kwargs", "custom_params"),
    Role.DATA,
)
"""What these servers take beside OpenAI's keys: schemas, documents, values for a template."""

_OPENAI = tuple(
    replace(row, reads={**row.reads, **_OWN_WORDS})
    for row in prefixed("/v1", (*openai.COMPLETIONS, openai.RESPONSES))
)

_ASKED: dict[str, What] = {
    "model": Role.MODEL,
    "stream": Role.STREAM,
    "tools[]": Role.UNTYPED_TOOL,
    "tools[].type": Role.TOOL_TYPE,
    "tools[].input_schema": Role.DATA,
    "messages[].content[].input": Role.DATA,
    "output_format": Role.DATA,
    "output_config.format": Role.DATA,
    "metadata": Role.DATA,
    **_OWN_WORDS,
}

_MESSAGES = tuple(
    Operation(name, "POST", route, _ASKED, texts=frozenset({"messages[].content"}))
    for name, route in (
        ("messages", "/v1/messages"),
        ("messages.count_tokens", "/v1/messages/count_tokens"),
    )
)

_COMMON: tuple[Operation, ...] = (*_OPENAI, *prefixed("/v1", openai.MODELS), *_MESSAGES)

_ADMINISTRATION = "it would change what an approved name runs"
_RAW = "it runs a model that the request does not name"


def _shut(why: str, *routes: str) -> tuple[Operation, ...]:
    return tuple(
        never("administration" if why is _ADMINISTRATION else "raw", "POST", route, why)
        for route in routes
    )


_SCORING = tuple(
    Operation(name, "POST", route, _MODEL)
    for name, route in (
        ("pooling", "/pooling"),
        ("score", "/score"),
        ("score", "/v1/score"),
        ("rerank", "/rerank"),
        ("rerank", "/v1/rerank"),
        ("rerank", "/v2/rerank"),
        ("classify", "/classify"),
    )
)

VLLM = Api(
    "vllm",
    (
        *_COMMON,
        *prefixed("/v1", openai.AUDIO),
        *_SCORING,
        Operation(
            "tokenize",
            "POST",
            "/tokenize",
            {**_MODEL, "tools[].function.parameters": Role.DATA, **_OWN_WORDS},
        ),
        Operation("detokenize", "POST", "/detokenize", _MODEL),
        carrier("health", "GET", "/health"),
        *_shut(
            _ADMINISTRATION,
            "/v1/load_lora_adapter",
            "/v1/unload_lora_adapter",
            "/update_weights",
            "/init_weight_transfer_engine",
            "/collective_rpc",
            "/reset_prefix_cache",
            "/sleep",
            "/wake_up",
            "/scale_elastic_ep",
            "/start_profile",
            "/stop_profile",
        ),
        *_shut(_RAW, "/invocations", "/inference/v1/generate"),
    ),
)


def _sglang(name: str) -> Named:
    """What runs an adapter is bound like a deployment, and no base model, whatever it begins with.

    A pattern of base models such as ``qwen*`` would cover ``qwen:adapter``.
    """
    return Named.DEPLOYMENT if ":" in name else Named.MODEL


SGLANG = Api(
    "sglang",
    (
        *_COMMON,
        *prefixed("/v1", openai.AUDIO),
        *(
            Operation(name, "POST", route, _MODEL)
            for name, route in (("rerank", "/v1/rerank"), ("score", "/v1/score"))
        ),
        Operation("tokenize", "POST", "/v1/tokenize", _MODEL),
        Operation("detokenize", "POST", "/v1/detokenize", _MODEL),
        carrier("health", "GET", "/health"),
        *_shut(
            _ADMINISTRATION,
            "/load_lora_adapter",
            "/unload_lora_adapter",
            "/update_weights_from_disk",
            "/update_weights_from_tensor",
            "/update_weights_from_distributed",
            "/init_weights_update_group",
            "/flush_cache",
            "/release_memory_occupation",
            "/resume_memory_occupation",
            "/open_session",
            "/close_session",
        ),
        *_shut(_RAW, "/generate", "/encode", "/classify", "/invocations"),
    ),
    names=_sglang,
)

_STREAMING: dict[str, What] = {"model": Role.MODEL, "stream": Role.STREAM}
_SCHEMA: dict[str, What] = {"format": Role.DATA}

OLLAMA = Api(
    "ollama",
    (
        *_COMMON,
        *prefixed("/v1", openai.AUDIO),
        Operation(
            "chat.completions",
            "POST",
            "/api/chat",
            {
                **_STREAMING,
                **_SCHEMA,
                "tools[].type": Role.TOOL_TYPE,
                "tools[].function.parameters": Role.DATA,
                "messages[].tool_calls[].function.arguments": Role.DATA,
            },
            streams=True,
        ),
        Operation("completions", "POST", "/api/generate", {**_STREAMING, **_SCHEMA}, streams=True),
        Operation("embeddings", "POST", "/api/embed", _MODEL),
        Operation("embeddings", "POST", "/api/embeddings", _MODEL),
        Operation("models.retrieve", "POST", "/api/show", _MODEL),
        carrier("models.list", "GET", "/api/tags"),
        carrier("models.running", "GET", "/api/ps"),
        carrier("version", "GET", "/api/version"),
        *_shut(_ADMINISTRATION, "/api/pull", "/api/push", "/api/create", "/api/copy"),
        never("administration", "DELETE", "/api/delete", _ADMINISTRATION),
        never("administration", "POST", "/api/blobs/{id}", _ADMINISTRATION),
    ),
    names=always_a_deployment,
)
"""A tag can be pulled anew with other weights, so it is bound like a deployment."""
