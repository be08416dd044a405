"""Lists keys and headers by which some server runs another model than the request names.

No operation uses any of them legitimately, so they are refused in every body, query and header,
for every provider.
"""

from __future__ import annotations

import re
from functools import lru_cache

from sidecar.core.strict_json import fold

NAMING_WORDS: frozenset[str] = frozenset(
    {"model", "models", "lora", "loras", "adapter", "adapters", "deployment", "deployments"}
)
"""Parts of the names of nearly all keys that choose a model.

New names appear faster than a list can follow (``safety_model``, ``model_uid``,
``azureml-model-deployment``). So a key at the top of a body, a field of a form or a header with one
of these words in its name is refused, unless the operation's row has it.
"""

_NESTED_WORDS = NAMING_WORDS | {"autorater", "routing"}
"""Parts of the names of keys that choose a model below the top of a body."""

OVERRIDES: frozenset[str] = frozenset(
    {
        # gateways: models to fall back to, presets that name one, a configuration of one's own
        "fallbacks",
        "context_window_fallbacks",
        "content_policy_fallbacks",
        "preset",
        "plugins",
        "route",
        "router",
        "router_settings_override",
        "prompt_id",
        "custom_llm_provider",
        "provider",
        "extra_body",
        "user_config",
        "compound_custom",
        "backend",
        "provideroptions",
        "provider_options",
        # agents and workflows, each with a model of its own
        "agent",
        "agent_id",
        "agent_reference",
        "assistant",
        "assistant_id",
        "workflow",
        "workflow_id",
        # where to: another upstream, or account, has other models under the same ids
        "api_key",
        "organization",
        "api_base",
        "api_type",
        "base_url",
        "api_version",
        "s3_endpoint_url",
        # headers and a query of the gateway's own request, which name accounts and deployments
        "headers",
        "extra_headers",
        "extra_query",
        # deployments
        "engine",
        "engine_id",
        "data_sources",
        # what another engine computed goes on here as if this model had
        "kv_transfer_params",
        "ec_transfer_params",
        "bootstrap_host",
        "bootstrap_port",
        "bootstrap_room",
        "bootstrap_pair_key",
        "session_params",
        # code that the server runs on what the model says
        "custom_logit_processor",
        "logits_processors",
    }
)
"""Keys of a body by which some OpenAI-compatible server runs another model than ``model`` says.

Those that have one of ``NAMING_WORDS`` in their name are not listed.
"""

OVERRIDING_KEYS: tuple[str, ...] = (
    "aws_",
    "azure_",
    "litellm_",
    "sagemaker_",
    "vertex_",
    "watsonx_",
)
"""Prefixes of keys with which LiteLLM takes another endpoint, account or region of a provider."""

OVERRIDING_HEADERS: frozenset[str] = frozenset(
    {
        # another method, path or operation
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-original-uri",
        "x-rewrite-url",
        "x-amz-target",
        "smithy-protocol",
        # another account of the same key: other models under the same ids, and other stored objects
        "openai-organization",
        "openai-project",
        "anthropic-workspace-id",
        # another engine to begin the answer, which goes on here as if this model had begun it
        "x-prefiller-host-port",
        "x-prefiller-url",
        "x-data-parallel-host-port",
    }
)
"""Headers with which some server changes the method, the path, the account or the model."""

OVERRIDING_PREFIXES: tuple[str, ...] = (
    "cf-aig-",  # Cloudflare AI Gateway
    "helicone-",
    "x-ai-eg-",  # Envoy AI Gateway
    "x-amzn-sagemaker-",
    "x-gateway-destination-",  # Gateway API Inference Extension
    "x-litellm-",
    "x-portkey-",
    "x-smg-",  # SGLang Model Gateway
)
"""Prefixes of the headers that select the upstream in gateways behind Envoy."""

MAX_KEY_CHARS = 128
"""Longest key that is split into words; no server has a longer one, and it may have megabytes."""

_REMEMBERED_CHARS = 64
"""Longest name whose answer is remembered, so that what clients send bounds the memory used."""

_ANY_WORD = re.compile("model|lora|adapter|deployment")
_KEY_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_HEADER_WORD = re.compile(r"[a-z]+")
_MODEL = "model"


def key_overrides(key: str) -> bool:
    """Return whether a key of a body, a form or a query could make a server run another model.

    ``model`` itself is checked by ``json_paths``.
    """
    return _key(key) if len(key) <= _REMEMBERED_CHARS else _key.__wrapped__(key)


def nested_overrides(key: str) -> bool:
    """Return whether a key at any depth of a body could make a server run another model.

    For operations whose bodies have such keys at no place but those of their row.
    """
    return len(key) <= MAX_KEY_CHARS and not _NESTED_WORDS.isdisjoint(_words(key, fold(key)))


def nested_model(key: str) -> bool:
    """Return whether a key below the top of a body begins with the word model, or models.

    Gateways read fallbacks there (``providerOptions.gateway.models``), and a provider a preference
    by which it chooses (``generationConfig.modelSelectionConfig``). ``model`` itself is checked by
    ``json_paths``.
    """
    if len(key) > MAX_KEY_CHARS:
        return False
    folded = fold(key)
    if not folded.startswith(_MODEL) or folded == _MODEL:
        return False
    words = {found[0].lower() for each in (key, folded) if (found := _KEY_WORD.match(each))}
    return not words.isdisjoint({_MODEL, f"{_MODEL}s"})


def header_overrides(name: str) -> bool:
    """Return whether a header (lower case) could make a server run another model."""
    return _header(name) if len(name) <= _REMEMBERED_CHARS else _header.__wrapped__(name)


@lru_cache(maxsize=4096)
def _key(key: str) -> bool:
    folded = fold(key)
    if folded in OVERRIDES or folded.startswith(OVERRIDING_KEYS):
        return True
    if folded == _MODEL or len(key) > MAX_KEY_CHARS or not _ANY_WORD.search(folded):
        return False
    return not NAMING_WORDS.isdisjoint(_words(key, folded))


def _words(key: str, folded: str) -> set[str]:
    return {word.lower() for word in (*_KEY_WORD.findall(key), *_KEY_WORD.findall(folded))}


@lru_cache(maxsize=4096)
def _header(name: str) -> bool:
    return (
        name in OVERRIDING_HEADERS
        or name.startswith(OVERRIDING_PREFIXES)
        or not NAMING_WORDS.isdisjoint(_HEADER_WORD.findall(name))
    )
