"""Calls of the SDK with the options it documents, and what the gate has to make of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sidecar.core.call import Call, Reference

OWN = {"type": "object", "properties": {"model": {"type": "string"}}, "required": ["model"]}
"""A schema of the caller's own."""

FUNCTION: dict[str, Any] = {"type": "function", "name": "f", "parameters": OWN, "strict": True}
OLD_FUNCTION = {"type": "function", "function": {"name": "f", "parameters": OWN}}
NAMESPACE = {"type": "namespace", "name": "n", "description": "d", "tools": [FUNCTION]}
ASKED = [{"role": "user", "content": "hello"}]
PICTURE = ("a.png", b"\x89PNG", "image/png")
SOUND = ("a.wav", b"RIFF", "audio/wav")
DIGEST = "sha256:" + "5f" * 32
AGENT_TOOLS = (
    *("computer_use", "function", "mcp"),
    *("programmatic_tool_calling", "tool_search", "web_search"),
)
AGENT: dict[str, Any] = {
    "model": "m",
    "compaction": {"async_": True},
    "experimental": {"time_awareness": True},
    "instructions": "i",
    "multi_agent": {"enabled": False},
    "reasoning": {"effort": "low"},
    "service_tier": "auto",
    "text": {"format": {"type": "json_schema", "schema": OWN}, "verbosity": "low"},
    "tools": [
        {"type": "function", "name": "f", "description": "d", "parameters": OWN},
        {
            "type": "mcp",
            "server_label": "s",
            "transport": {
                "type": "http",
                "server_url": "https://tools.example",
                "headers": {"Model": "T"},
            },
            "allowed_tools": ["t"],
            "request_metadata": {"model": "T"},
        },
        {
            "type": "mcp",
            "server_label": "p",
            "transport": {"type": "stdio", "command": "c", "cwd": "/workspace", "args": ["a"]},
        },
        {"type": "tool_search"},
        {"type": "programmatic_tool_calling", "enabled": True},
        {"type": "web_search", "mode": "cached", "location": {"city": "Bonn"}},
        {"type": "computer_use", "include_screenshots": True},
    ],
}
HOSTED: dict[str, Any] = {
    "type": "openai_hosted",
    "container_size": "small",
    "desktop": {"enabled": True},
    "env": {"model": "T"},
    "environment_template_id": "template_1",
    "files": [{"type": "file_id", "file_id": "file-1", "path": "/workspace/a"}],
    "network": {"access": "restricted", "allowed_domains": ["law.example"]},
    "packages": {"python": ["attrs"]},
    "setup_commands": [{"command": "true"}],
    "skills": [{"type": "skill_reference", "skill_id": "skill_1"}],
}


def chat(**options: Any) -> Callable[[Any], object]:
    return lambda client: client.chat.completions.create(model="m", messages=ASKED, **options)


def respond(**options: Any) -> Callable[[Any], object]:
    return lambda client: client.responses.create(**{"model": "m", "input": "hello", **options})


OPENAI: dict[str, tuple[Callable[[Any], object], Call]] = {
    "chat, with every option": (
        chat(
            audio={"voice": "alloy", "format": "wav"},
            functions=[{"name": "f", "parameters": OWN}],
            logit_bias={"1": 1},
            metadata={"model": "T"},
            modalities=["text", "audio"],
            moderation={"model": "guard"},
            prediction={"type": "content", "content": '{"model": 1}'},
            reasoning_effort="low",
            response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": OWN}},
            service_tier="auto",
            store=True,
            stream=True,
            stream_options={"include_usage": True},
            tool_choice={
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [OLD_FUNCTION]},
            },
            tools=[OLD_FUNCTION, {"type": "custom", "custom": {"name": "c"}}],
            web_search_options={"user_location": {"type": "approximate", "approximate": {}}},
        ),
        Call(
            "openai",
            "chat.completions",
            ("m", "guard"),
            stream=True,
            modalities=("audio", "text"),
            tool_types=("custom", "function", "web_search_options"),
        ),
    ),
    "a response, with every option": (
        respond(
            background=True,
            context_management=[{"type": "compaction", "compact_threshold": 1000}],
            include=["file_search_call.results"],
            metadata={"model": "T"},
            prompt_cache_key="k",
            reasoning={"effort": "low"},
            store=True,
            stream=True,
            text={"format": {"type": "json_schema", "name": "n", "schema": OWN}},
            tool_choice={
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "mcp", "server_label": "s"}],
            },
            truncation="auto",
        ),
        Call("openai", "responses", ("m",), stream=True),
    ),
    "tools of every kind": (
        respond(
            tools=[
                {**FUNCTION, "output_schema": OWN},
                NAMESPACE,
                {
                    "type": "mcp",
                    "server_label": "s",
                    "server_url": "https://tools.example",
                    "headers": {"Model": "T"},
                },
                {
                    "type": "file_search",
                    "vector_store_ids": ["v"],
                    "filters": {"type": "eq", "key": "model", "value": "T"},
                },
                {"type": "web_search", "filters": {"allowed_domains": ["law.example"]}},
                {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["f"]}},
                {"type": "image_generation", "model": "painter", "size": "auto"},
                {"type": "shell", "environment": {"type": "container_auto"}},
                {"type": "custom", "name": "c"},
            ]
        ),
        Call(
            "openai",
            "responses",
            ("m", "painter"),
            tool_types=(
                *("code_interpreter", "custom", "file_search", "function", "image_generation"),
                *("mcp", "namespace", "shell", "web_search"),
            ),
        ),
    ),
    "what earlier answers held, given back": (
        respond(
            input=[
                *ASKED,
                {"type": "reasoning", "id": "rs_1", "summary": []},
                {"type": "message", "id": "msg_1", "role": "assistant", "content": []},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": '{"model": "T"}'},
                {
                    "type": "mcp_list_tools",
                    "id": "i",
                    "server_label": "s",
                    "tools": [{"name": "t", "input_schema": OWN, "annotations": {"model": 1}}],
                },
                {"type": "mcp_call", "id": "i", "error": {"content": [{"model": "T"}]}},
                {"type": "file_search_call", "id": "i", "results": [{"attributes": OWN}]},
                {"type": "local_shell_call", "id": "i", "action": {"env": {"MODEL": "T"}}},
                {"type": "tool_search_call", "arguments": {"model": "T"}},
                {"type": "tool_search_output", "call_id": "c", "tools": [FUNCTION, NAMESPACE]},
                {"type": "configuration_update", "text": {"format": {"schema": OWN}}},
            ]
        ),
        Call("openai", "responses", ("m",), tool_types=("function", "namespace")),
    ),
    "embeddings": (
        lambda client: client.embeddings.create(
            model="m", input=[[1, 2], [3]], dimensions=5, encoding_format="float", user="u"
        ),
        Call("openai", "embeddings", ("m",)),
    ),
    "completions": (
        lambda client: client.completions.create(
            model="m", prompt="x", best_of=1, echo=True, logprobs=1, suffix="x", stream=True
        ),
        Call("openai", "completions", ("m",), stream=True),
    ),
    "speech": (
        lambda client: client.audio.speech.create(
            model="m", input="x", voice="alloy", instructions="x", response_format="mp3", speed=1
        ),
        Call("openai", "audio.speech", ("m",)),
    ),
    "a transcription": (
        lambda client: client.audio.transcriptions.create(
            model="m",
            file=SOUND,
            chunking_strategy={"type": "server_vad", "threshold": 0.5},
            include=["logprobs"],
            known_speaker_names=["a", "b"],
            language="en",
            prompt='{"model": "T"}',
            response_format="json",
            stream=True,
            temperature=0,
            timestamp_granularities=["word", "segment"],
        ),
        Call("openai", "audio.transcriptions", ("m",), stream=True),
    ),
    "a picture": (
        lambda client: client.images.generate(
            model="m", prompt='{"model": "T"}', output_format="png", partial_images=1, stream=True
        ),
        Call("openai", "images.generations", ("m",), stream=True),
    ),
    "a picture as text, by a model that is named": (
        lambda client: client.images.generate(
            model="m", prompt="x", output_format="svg", svg={"model": "author"}
        ),
        Call("openai", "images.generations", ("m", "author")),
    ),
    "a picture changed": (
        lambda client: client.images.edit(
            model="m",
            image=[PICTURE, PICTURE],
            mask=PICTURE,
            prompt='{"model": "T"}',
            output_format="png",
            n=1,
            user="u",
        ),
        Call("openai", "images.edits", ("m",)),
    ),
    "a picture changed, as text": (
        lambda client: client.images.edit(
            model="m",
            image=PICTURE,
            prompt="x",
            output_format="svg",
            svg={"model": "author", "reasoning": {"effort": "low"}},
        ),
        Call("openai", "images.edits", ("m", "author")),
    ),
    "a tuning job": (
        lambda client: client.fine_tuning.jobs.create(
            model="m",
            training_file="file-1",
            validation_file="file-2",
            integrations=[{"type": "wandb", "wandb": {"project": "model"}}],
            metadata={"admissibility_specification": DIGEST, "model": "T"},
            method={
                "type": "reinforcement",
                "reinforcement": {
                    "grader": {"type": "score_model", "name": "g", "model": "judge", "input": []},
                    "response_format": {"type": "json_schema", "json_schema": {"schema": OWN}},
                },
            },
            suffix="s",
        ),
        Call(
            "openai",
            "fine_tuning.jobs.create",
            ("judge",),
            tuned=("m",),
            specification=DIGEST.removeprefix("sha256:"),
        ),
    ),
    "an agent, with every option": (
        lambda client: client.beta.agents.create(**AGENT, name="n", metadata={"model": "T"}),
        Call("openai", "agents.create", ("m",), tool_types=AGENT_TOOLS),
    ),
    "a session, with every option": (
        lambda client: client.beta.agents.sessions.create(
            agent=AGENT,
            agent_id="agent_1",
            environment=HOSTED,
            input=[{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}],
            metadata={"model": "T"},
            prompt_cache_options={"ttl": "12h"},
            review="none",
            spend_control={"limit": 100},
            stream=True,
            stream_options={"include_obfuscation": False},
            vault_ids=["vault_1"],
        ),
        Call(
            "openai",
            "agents.sessions.create",
            ("m",),
            stream=True,
            tool_types=AGENT_TOOLS,
            references=(Reference("agent", "agent_1"),),
        ),
    ),
    "work of every kind for a session": (
        lambda client: client.beta.agents.sessions.events.create(
            "session_1",
            idempotency_key="k",
            events=[
                {
                    "type": "agent.session.input.message",
                    "input": [
                        {
                            "role": "user",
                            "type": "message",
                            "content": [
                                {"type": "input_text", "text": '{"model": "T"}'},
                                {"type": "input_image", "image_url": "https://x.example/a.png"},
                            ],
                        }
                    ],
                },
                {"type": "agent.session.input.cancel"},
                {
                    "type": "agent.session.input.tool_result",
                    "call_id": "c",
                    "turn_id": "t",
                    "success": True,
                    "output": [{"type": "input_text", "text": "x"}],
                },
                {
                    "type": "agent.session.input.mcp_approval_request_result",
                    "request_id": "r",
                    "response": {"type": "mcp_tool_call", "decision": "approve"},
                },
                {
                    "type": "agent.session.input.computer_use_approval_request_result",
                    "request_id": "r",
                    "response": {"type": "browser_origin_access", "decision": "deny"},
                },
            ],
        ),
        Call(
            "openai", "agents.sessions.events", (), references=(Reference("session", "session_1"),)
        ),
    ),
    "a grader tried": (
        lambda client: client.fine_tuning.alpha.graders.run(
            grader={"type": "score_model", "name": "g", "model": "judge", "input": []},
            model_sample="x",
            item={"model": "T"},
        ),
        Call("openai", "graders.run", ("judge",)),
    ),
}
