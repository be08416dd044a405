"""What makes a server run another model than the place says that names it.

No operation has any of these as something legitimate, so they are refused wherever a body, a query
or a header brings them, whichever kind of upstream is behind the route.
"""

from __future__ import annotations

OVERRIDES: frozenset[str] = frozenset(
    {
        # gateways: lists of models to fall back to, and presets that name one
        "models",
        "fallbacks",
        "context_window_fallbacks",
        "content_policy_fallbacks",
        "model_list",
        "model_id",
        "model_name",
        "model_group",
        "model_info",
        "preset",
        "plugins",
        "route",
        "router",
        "router_settings_override",
        "prompt_id",
        "custom_llm_provider",
        "provider",
        "extra_body",
        "litellm_params",
        # where to: another upstream has other models under the same ids
        "api_base",
        "base_url",
        "api_version",
        # deployments
        "engine",
        "engine_id",
        "deployment",
        "deployment_id",
        "deployment_name",
        "data_sources",
        # adapters chosen beside the model, and helpers that draft for it
        "adapter",
        "adapters",
        "adapter_id",
        "adapter_name",
        "adapter_source",
        "adapter_parameters",
        "merged_adapters",
        "lora",
        "lora_id",
        "lora_ids",
        "lora_name",
        "lora_names",
        "lora_path",
        "lora_paths",
        "lora_request",
        "lora_task_id",
        "draft_model",
        "speculative_model",
    }
)
"""Keys of a body by which some OpenAI-compatible server runs another model than ``model`` says."""

OVERRIDING_HEADERS: frozenset[str] = frozenset(
    {
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-url",
        "x-original-uri",
        "x-rewrite-url",
        "x-model",
        "x-model-id",
        "x-ms-oai-image-generation-deployment",
        "x-portkey-config",
        "x-portkey-provider",
    }
)
"""Headers by which some server changes the method, the path or the model."""
