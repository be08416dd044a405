"""Describes vLLM: adapters, scoring and pooling (vLLM documentation, "LoRA Adapters")."""

from __future__ import annotations

from sidecar.providers import error_shapes
from sidecar.providers.json_paths import Role
from sidecar.providers.open_weights import (
    ADMINISTRATION,
    COMMON,
    MODEL,
    OWN_KEYS,
    RAW,
    SCORED,
    refused,
)
from sidecar.providers.openai_media import AUDIO
from sidecar.providers.operation import Operation, modelless, prefixed
from sidecar.providers.provider import (
    SELF_HOSTED,
    AdaptedNames,
    Provider,
    always_a_model,
    as_written,
    no_further,
)
from sidecar.providers.stored_inputs import NO_INPUTS

_SCORING = tuple(
    Operation(name, "POST", route, SCORED)
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

PROVIDER = Provider(
    "vllm",
    "vLLM",
    (
        *COMMON,
        *prefixed("/v1", AUDIO),
        *_SCORING,
        Operation(
            "tokenize",
            "POST",
            "/tokenize",
            {**MODEL, "tools[].function.parameters": Role.DATA, **OWN_KEYS},
        ),
        Operation("detokenize", "POST", "/detokenize", MODEL),
        modelless("health", "GET", "/health"),
        *refused(
            ADMINISTRATION,
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
        *refused(RAW, "/invocations", "/inference/v1/generate"),
    ),
    hosts=SELF_HOSTED,
    adapted=AdaptedNames(
        "",
        "An adapter is loaded under any name; the operator's list of base models decides",
    ),
    names=always_a_model,
    configurations=("vllm",),
    documentation=(
        "`model` is the name under which an adapter was loaded, or that of the base model. "
        "Loading adapters and replacing weights are refused. Routes set `api: vllm` and a "
        "`provider` of the operator's own, whose manifests count."
    ),
    errors=error_shapes.OPENAI,
    inputs=NO_INPUTS,
    canonical=as_written,
    further=no_further,
    elsewhere=no_further,
)
