"""Ollama: its own API and OpenAI's; every name is a tag, which can later name other weights."""

from __future__ import annotations

from sidecar.providers import error_shapes
from sidecar.providers.json_paths import Role, What
from sidecar.providers.open_weights import ADMINISTRATION, COMMON, MODEL, refused
from sidecar.providers.openai_media import AUDIO
from sidecar.providers.operation import Operation, answering, modelless, never, prefixed
from sidecar.providers.provider import (
    SELF_HOSTED,
    AdaptedNames,
    Provider,
    always_a_deployment,
    as_written,
    no_further,
)
from sidecar.providers.stored_inputs import NO_INPUTS

_STREAMING: dict[str, What] = {"model": Role.MODEL, "stream": Role.STREAM}
_SCHEMA: dict[str, What] = {"format": Role.DATA}

PROVIDER = Provider(
    "ollama",
    "Ollama",
    (
        *answering(error_shapes.OPENAI, (*COMMON, *prefixed("/v1", AUDIO))),
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
        Operation("embeddings", "POST", "/api/embed", MODEL),
        Operation("embeddings", "POST", "/api/embeddings", MODEL),
        Operation("models.retrieve", "POST", "/api/show", MODEL),
        modelless("models.list", "GET", "/api/tags"),
        modelless("models.running", "GET", "/api/ps"),
        modelless("version", "GET", "/api/version"),
        *refused(ADMINISTRATION, "/api/pull", "/api/push", "/api/create", "/api/copy"),
        never("administration", "DELETE", "/api/delete", ADMINISTRATION),
        never("administration", "POST", "/api/blobs/{id}", ADMINISTRATION),
    ),
    hosts=SELF_HOSTED,
    adapted=AdaptedNames(
        "",
        "An adapter is loaded under any name; the operator's list of base models decides",
    ),
    names=always_a_deployment,
    configurations=("vllm",),
    documentation=(
        "`model` is a tag. A tag can later name other weights, so it is bound like a "
        "deployment. Pulling, pushing and creating models are refused. Routes set `api: "
        "ollama`, and otherwise follow the reference configuration of vLLM."
    ),
    errors=error_shapes.OLLAMA,
    inputs=NO_INPUTS,
    canonical=as_written,
    further=no_further,
    elsewhere=no_further,
)
