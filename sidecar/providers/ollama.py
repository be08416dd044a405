"""Ollama: its own API and OpenAI's; every name is a tag, which can later name other weights.

A name is ``[HOST/][NAMESPACE/]MODEL[:TAG]``, and what is left out has a default, so ``llama3`` and
``registry.ollama.ai/library/llama3:latest`` are one tag (Ollama, ``types/model/name.go``).
"""

from __future__ import annotations

import re

from sidecar.providers import error_shapes
from sidecar.providers.json_paths import Meaning, Role
from sidecar.providers.open_weights import ADMINISTRATION, COMMON, MODEL, refused
from sidecar.providers.openai_media import AUDIO
from sidecar.providers.operation import Operation, answering, modelless, never, prefixed
from sidecar.providers.provider import (
    SELF_HOSTED,
    AdaptedNames,
    Provider,
    always_a_deployment,
    no_further,
)
from sidecar.providers.stored_inputs import NO_INPUTS

_HOST, _NAMESPACE, _TAG = "registry.ollama.ai", "library", "latest"
_NAME = re.compile(
    r"(?:[^/]+://)?(?:(?P<host>[^/]+)/(?=[^/]+/))?(?:(?P<namespace>[^/]+)/)?"
    r"(?P<model>[^/:]+)(?::(?P<tag>[^/:]+))?"
)


def canonical(model: str) -> str:
    """Return the shortest name of a tag, as Ollama shows it but for ``:latest``.

    Upper and lower case are kept, though a server takes either: a name in another case than was
    bound is not bound. What is a pattern, or no such name, stays as it is.
    """
    found = None if "**" in model else _NAME.fullmatch(model)
    if found is None:
        return model
    host, namespace, name, tag = found.groups()
    host = None if host == _HOST else host
    namespace = None if host is None and namespace == _NAMESPACE else namespace
    tag = None if tag == _TAG else tag
    before = "".join(f"{part}/" for part in (host, namespace) if part is not None)
    return f"{before}{name}" + ("" if tag is None else f":{tag}")


def spellings(model: str) -> tuple[str, ...]:
    """Return the other names of a tag, or the patterns over them, by its canonical one."""
    heads = {0: ("", f"{_NAMESPACE}/", f"{_HOST}/{_NAMESPACE}/"), 1: ("", f"{_HOST}/")}
    tagged = ":" in model.rpartition("/")[2]
    names = [model] if tagged else [model, f"{model}:{_TAG}"]
    if model.endswith(":*"):  # which covers the tag that is left out
        names.append(model.removesuffix(":*"))
    found = (head + name for name in names for head in heads.get(model.count("/"), ("",)))
    return tuple(name for name in found if name != model and "**" not in model)


_STREAMING: dict[str, Meaning] = {"model": Role.MODEL, "stream": Role.STREAM}
_SCHEMA: dict[str, Meaning] = {"format": Role.DATA}

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
        "`model` is a tag, under every name that Ollama takes for it: `support` is also "
        "`support:latest`, `library/support` and `registry.ollama.ai/library/support:latest`. A "
        "tag can later name other weights, so it is bound like a deployment, by the shortest of "
        "these names; upper and lower case count. Pulling, pushing and creating models are "
        "refused. Routes set `api: ollama`, and otherwise follow the reference configuration of "
        "vLLM."
    ),
    errors=error_shapes.OLLAMA,
    inputs=NO_INPUTS,
    canonical=canonical,
    further=no_further,
    elsewhere=spellings,
)
