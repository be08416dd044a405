"""Lists the rows of Anthropic's Messages API, which other servers have too."""

from __future__ import annotations

from collections.abc import Mapping

from sidecar.providers import error_shapes
from sidecar.providers.json_paths import Meaning, Role
from sidecar.providers.operation import Operation

STORED: dict[str, Meaning] = {
    "container": Role.FOREIGN,
    "thread.previous_message_id": Role.FOREIGN,
}
"""What an earlier call left at the provider: files and skills, or a conversation of any model's."""

BODY: dict[str, Meaning] = {
    **STORED,
    "model": Role.MODEL,
    "stream": Role.STREAM,
    "tools[]": Role.UNTYPED_TOOL,
    "tools[].type": Role.TOOL_TYPE,
    "tools[].input_schema": Role.DATA,
    "tools[].input_examples": Role.DATA,
    "tools[].tools[].input_schema": Role.DATA,
    "mcp_servers": Role.OFFERS_TOOL,
    "messages[].content[].input": Role.DATA,
    "messages[].content[].tools[].input_schema": Role.DATA,
    "output_format": Role.DATA,
    "output_config.format": Role.DATA,
    "metadata": Role.DATA,
}

TEXTS = frozenset({"messages[].content"})


def messages(more: Mapping[str, Meaning]) -> tuple[Operation, ...]:
    """Return the rows, with further places of a server's own in the body."""
    return tuple(
        Operation(
            name,
            "POST",
            route,
            {**BODY, **more},
            query={"beta": Role.WORD},
            texts=TEXTS,
            errors=error_shapes.ANTHROPIC,
        )
        for name, route in (
            ("messages", "/v1/messages"),
            ("messages.count_tokens", "/v1/messages/count_tokens"),
        )
    )
