"""The operation table: what the gate knows, and where each operation names its models.

One row for one operation. Everything that is not here is refused by name. A row that a provider's
new feature makes incomplete shows in one line: a place to read, or a key to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.gate.places import Node, Role, compile_places

MODEL_SEGMENT = "{model}"


@dataclass(frozen=True, slots=True)
class Operation:
    """One row.

    Attributes:
        name: As manifests, approvals and policies call it.
        method: HTTP method.
        route: Path with ``{model}`` for a segment that is a model id; all else is literal.
        reads: Places in the body and what is there; empty for an operation without a body.
        stored: Keys that name an object stored upstream, which may hold another model.
        texts: Places where a string may stand for a list.
        tree: ``reads``, compiled.
    """

    name: str
    method: str
    route: str
    reads: Mapping[str, Role] = field(default_factory=dict)
    stored: tuple[str, ...] = ()
    texts: frozenset[str] = frozenset()
    tree: Node = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile the places once."""
        object.__setattr__(self, "tree", compile_places(self.reads))

    @property
    def has_body(self) -> bool:
        """Whether the model is named in the body."""
        return bool(self.reads)


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "chat.completions",
        "POST",
        "/v1/chat/completions",
        {
            "model": Role.MODEL,
            "moderation.model": Role.MODEL,
            "stream": Role.STREAM,
            "modalities[]": Role.MODALITY,
            "tools[]": Role.TOOL,
            "tools[].type": Role.TOOL_TYPE,
            "tools[].model": Role.MODEL,
            "functions[]": Role.FUNCTION,
        },
    ),
    Operation(
        "completions",
        "POST",
        "/v1/completions",
        {"model": Role.MODEL, "stream": Role.STREAM},
    ),
    Operation(
        "responses",
        "POST",
        "/v1/responses",
        {
            "model": Role.MODEL,
            "moderation.model": Role.MODEL,
            "stream": Role.STREAM,
            "modalities[]": Role.MODALITY,
            "tools[]": Role.TOOL,
            "tools[].type": Role.TOOL_TYPE,
            "tools[].model": Role.MODEL,
            "tools[].svg.model": Role.MODEL,
            "input[]": Role.ITEM,
            "input[].tools[]": Role.TOOL,
            "input[].tools[].type": Role.TOOL_TYPE,
            "input[].tools[].model": Role.MODEL,
            "input[].tools[].svg.model": Role.MODEL,
        },
        stored=("prompt", "previous_response_id", "conversation"),
        texts=frozenset({"input"}),
    ),
    Operation("embeddings", "POST", "/v1/embeddings", {"model": Role.MODEL}),
    Operation("models.retrieve", "GET", "/v1/models/{model}"),
)
"""Every operation the gate lets through, if everything else agrees."""

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
