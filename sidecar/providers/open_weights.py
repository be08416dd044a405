"""Lists the rows that servers of open weights share: OpenAI's API, and Anthropic's messages.

``model`` is the name of an adapter, or of its base model. Administration (loading an adapter under
an approved name, replacing weights) is refused: it would change which model an approved name runs.
"""

from __future__ import annotations

from dataclasses import replace

from sidecar.providers import error_shapes, openai
from sidecar.providers.json_paths import Role, What
from sidecar.providers.operation import Operation, never, prefixed

MODEL: dict[str, What] = {"model": Role.MODEL}

OWN_KEYS: dict[str, What] = dict.fromkeys(
    ("guided_json", "structured_outputs", "documents", "chat_template_kwargs", "custom_params"),
    Role.DATA,
)
"""Keys of these servers beside OpenAI's: schemas, documents, values for a template."""

_OPENAI = tuple(
    replace(row, reads={**row.reads, **OWN_KEYS})
    for row in prefixed("/v1", (*openai.COMPLETIONS, openai.RESPONSES))
)

_MESSAGES_BODY: dict[str, What] = {
    "model": Role.MODEL,
    "stream": Role.STREAM,
    "tools[]": Role.UNTYPED_TOOL,
    "tools[].type": Role.TOOL_TYPE,
    "tools[].input_schema": Role.DATA,
    "messages[].content[].input": Role.DATA,
    "output_format": Role.DATA,
    "output_config.format": Role.DATA,
    "metadata": Role.DATA,
    **OWN_KEYS,
}

_MESSAGES = tuple(
    Operation(
        name,
        "POST",
        route,
        _MESSAGES_BODY,
        texts=frozenset({"messages[].content"}),
        errors=error_shapes.ANTHROPIC,
    )
    for name, route in (
        ("messages", "/v1/messages"),
        ("messages.count_tokens", "/v1/messages/count_tokens"),
    )
)

COMMON: tuple[Operation, ...] = (*_OPENAI, *prefixed("/v1", openai.MODELS), *_MESSAGES)

ADMINISTRATION = "it would change which model an approved name runs"
RAW = "it runs a model that the request does not name"


def refused(why: str, *routes: str) -> tuple[Operation, ...]:
    """Return a row per route that is always refused, for ``ADMINISTRATION`` or ``RAW``."""
    return tuple(
        never("administration" if why is ADMINISTRATION else "raw", "POST", route, why)
        for route in routes
    )
