"""Describes SGLang: adapters behind OpenAI's API, named ``base:adapter``.

SGLang does not compare ``model`` with what it serves: ``base:adapter`` runs the adapter that was
loaded under that name, whatever precedes the colon, and every other name runs the base model.
"""

from __future__ import annotations

from sidecar.providers import error_shapes
from sidecar.providers.open_weights import ADMINISTRATION, COMMON, MODEL, RAW, SCORED, refused
from sidecar.providers.openai_media import AUDIO
from sidecar.providers.operation import Operation, modelless, prefixed
from sidecar.providers.provider import (
    SELF_HOSTED,
    AdaptedNames,
    NameKind,
    Provider,
    as_written,
    no_further,
)
from sidecar.providers.stored_inputs import NO_INPUTS


def names(name: str) -> NameKind:
    """Return ``DEPLOYMENT`` for a name with an adapter: a binding states which one it runs.

    A pattern of base models such as ``qwen*`` would otherwise cover ``qwen:adapter``.
    """
    return NameKind.DEPLOYMENT if ":" in name else NameKind.MODEL


PROVIDER = Provider(
    "sglang",
    "SGLang",
    (
        *COMMON,
        *prefixed("/v1", AUDIO),
        *(
            Operation(name, "POST", route, SCORED)
            for name, route in (("rerank", "/v1/rerank"), ("score", "/v1/score"))
        ),
        Operation("tokenize", "POST", "/v1/tokenize", MODEL),
        Operation("detokenize", "POST", "/v1/detokenize", MODEL),
        modelless("health", "GET", "/health"),
        *refused(
            ADMINISTRATION,
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
        *refused(RAW, "/generate", "/encode", "/classify", "/invocations"),
    ),
    hosts=SELF_HOSTED,
    adapted=AdaptedNames(
        "",
        "A name with an adapter, base:adapter, is a deployment and never looked up as a base model",
    ),
    names=names,
    configurations=("vllm",),
    documentation=(
        "`model` is `base:adapter`, bound like a deployment, or the base model's name. "
        "The server runs its base model under every name without a colon: list that name exactly. "
        "Loading adapters and replacing weights are refused. Routes set `api: sglang`, and "
        "otherwise follow the reference configuration of vLLM."
    ),
    errors=error_shapes.OPENAI,
    inputs=NO_INPUTS,
    canonical=as_written,
    further=no_further,
    elsewhere=no_further,
)
