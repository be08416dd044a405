"""What a policy may deny for is found wherever an API lets a client ask for it."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.core.call import Call
from tests.support.gate.asking import post

CHAT, MESSAGES = "/v1/chat/completions", "/anthropic/v1/messages"
NOVA = "/model/amazon.nova-pro-v1%3A0"
GEMINI = "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-flash:generateContent"
SYSTEM = {"toolConfig": {"tools": [{"systemTool": {"name": "nova_grounding"}}]}}
WITH_MODEL = {"model": {"type": "str", "required": True}}


@pytest.mark.parametrize(
    ("api", "path", "body", "tools", "modalities"),
    [
        ("openai", CHAT, {"web_search_options": {}}, ("web_search_options",), ()),
        ("openai", CHAT, {"web_search_options": None}, (), ()),
        ("openai", CHAT, {"modalities": ["text", "Audio"]}, (), ("audio", "text")),
        (
            "bedrock",
            MESSAGES,
            {"mcp_servers": [{"type": "url", "url": "https://mcp.example", "name": "m"}]},
            ("mcp_servers",),
            (),
        ),
        ("bedrock", f"{NOVA}/converse", SYSTEM, ("nova_grounding",), ()),
        ("bedrock", f"{NOVA}/invoke", SYSTEM, ("nova_grounding",), ()),
        (
            "bedrock",
            "/model/cohere.command-r-v1%3A0/invoke",
            {"message": "x", "tools": [{"name": "f", "parameter_definitions": WITH_MODEL}]},
            ("function",),
            (),
        ),
        (
            "vertex",
            GEMINI,
            {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}},
            (),
            ("image", "text"),
        ),
        (
            "vertex",
            GEMINI,
            {"generation_config": {"response_modalities": ["AUDIO"]}},
            (),
            ("audio",),
        ),
    ],
)
def test_tools_and_modalities_are_found_wherever_an_api_takes_them(
    api: str, path: str, body: dict[str, Any], tools: tuple[str, ...], modalities: tuple[str, ...]
) -> None:
    named = {"model": "m.m"} if path in {CHAT, MESSAGES} else {}
    call = post(api, path, {**named, **body})
    assert isinstance(call, Call), call
    assert (call.tool_types, call.modalities) == (tools, modalities)


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("cohere.rerank-v3-5:0", {"query": "x", "documents": ["a"], "api_version": 2}),
        (
            "cohere.command-r-v1:0",
            {
                "message": "x",
                "tool_results": [
                    {
                        "call": {"name": "f", "parameters": {"model": "T"}},
                        "outputs": [{"model": "T"}],
                    }
                ],
            },
        ),
    ],
)
def test_a_body_of_coheres_is_no_reason_to_refuse(model: str, body: dict[str, Any]) -> None:
    """As its documentation for Bedrock has it; the version is one that the body must state."""
    path = f"/model/{model.replace(':', '%3A')}/invoke"
    assert post("bedrock", path, body) == Call("bedrock", "invoke", (model,))
