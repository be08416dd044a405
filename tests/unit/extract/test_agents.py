"""Agents: what their requests name, what they build on, and what nobody is asked about.

What is let through is held against the types of the provider's own SDK, so that a tool, an event or
a kind of review that it adds fails here until somebody has looked at what it runs.
"""

from __future__ import annotations

import typing
from typing import Any

import pytest
import typing_extensions
from openai.types.beta.agent_create_subagent_call_item import AgentCreateSubagentCallItem
from openai.types.beta.agent_session_input_param import AgentSessionInputParam
from openai.types.beta.agent_tool_param import AgentToolParam
from openai.types.beta.agents.session_create_params import SessionCreateParamsBase
from openai.types.beta.persisted_agent_tool_param import PersistedAgentToolParam

from sidecar.core.call import Call, Reference
from sidecar.core.reasons import Reason
from sidecar.providers import PROVIDERS, creation, updated_by
from sidecar.providers.json_paths import AllowedValues
from sidecar.providers.openai_agents import AGENTS
from tests.support.gate.asking import get, post

AGENT, SESSION = Reference("agent", "agent_1"), Reference("session", "session_1")
WORKS = "/v1/agents/sessions/session_1"
TOOL = {"type": "function", "name": "f", "parameters": {"model": "a word of the caller's own"}}
MESSAGE = {"role": "user", "content": [{"type": "input_text", "text": "hello"}]}
SAID = {"type": "agent.session.input.message", "input": [MESSAGE]}


def called(operation: str, *models: str, **more: Any) -> Call:
    return Call("openai", operation, models, **more)


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        (
            "/v1/agents",
            {"model": "m", "tools": [TOOL], "multi_agent": None, "metadata": {"model": "x"}},
            called("agents.create", "m", tool_types=("function",)),
        ),
        (
            "/v1/agents/agent_1",
            {"model": "m", "multi_agent": {"enabled": False}},
            called("agents.update", "m", references=(AGENT,)),
        ),
        (
            "/v1/agents/agent_1",
            {"name": "another", "tools": None},
            called("agents.update", references=(AGENT,)),
        ),
        (
            "/v1/agents/sessions",
            {"agent_id": "agent_1", "environment": {"type": "none"}, "input": "hello"},
            called("agents.sessions.create", references=(AGENT,)),
        ),
        (
            "/v1/agents/sessions",
            {
                "agent_id": "agent_1",
                "agent": {"model": "m", "tools": [TOOL]},
                "environment": {"type": "openai_hosted", "env": {"model": "x"}},
                "input": [MESSAGE],
                "review": "none",
                "stream": True,
            },
            called(
                "agents.sessions.create",
                "m",
                stream=True,
                tool_types=("function",),
                references=(AGENT,),
            ),
        ),
        (
            WORKS,
            {"agent": {"model": "m"}},
            called("agents.sessions.update", "m", references=(SESSION,)),
        ),
        (
            f"{WORKS}/events",
            {"events": [SAID]},
            called("agents.sessions.events", references=(SESSION,)),
        ),
    ],
)
def test_what_a_request_names_and_builds_on_is_found(path: str, body: Any, expected: Call) -> None:
    assert post("openai", path, body) == expected


@pytest.mark.parametrize(
    "below", ["", "/items", "/turns/turn_1/items", "/artifacts/a_1/content", "/subagents"]
)
def test_what_tells_of_a_session_builds_on_it(below: str) -> None:
    assert get("openai", WORKS + below) == called("agents.sessions.read", references=(SESSION,))


def test_listening_to_a_session_builds_on_it_and_is_a_stream() -> None:
    path = f"{WORKS}/events?include_obfuscation=false"
    expected = called("agents.sessions.events", stream=True, references=(SESSION,))
    assert get("openai", path) == expected


def test_sub_agents_of_a_response_are_refused_as_well() -> None:
    body = {"model": "m", "input": "x", "multi_agent": {"enabled": False}}
    assert post("openai", "/v1/responses?beta=true", body) == called("responses", "m")
    body["multi_agent"] = {"enabled": True, "max_concurrent_subagents": 2}
    assert post("openai", "/v1/responses?beta=true", body) == (
        Reason.UNSUPPORTED_OPERATION,
        "responses with multi_agent.enabled other than false: an agent may choose the models of its"
        " sub-agents, and no request names them",
    )


def unseen(operation: str, where: str) -> tuple[Reason, str]:
    (row,) = (row for row in AGENTS if row.name == operation and row.method == "POST" and row.reads)
    role = row.reads[where]
    assert isinstance(role, AllowedValues)
    return Reason.UNSUPPORTED_OPERATION, role.why


@pytest.mark.parametrize(
    ("path", "body", "operation", "where"),
    [
        ("/v1/agents", {"multi_agent": {"enabled": True}}, "agents.create", "multi_agent.enabled"),
        ("/v1/agents", {"multi_agent": {"enabled": 0}}, "agents.create", "multi_agent.enabled"),
        ("/v1/agents", {"multi_agent": {"enabled": []}}, "agents.create", "multi_agent.enabled"),
        ("/v1/agents", {"tools": [{"type": "automations"}]}, "agents.create", "tools[].type"),
        ("/v1/agents", {"tools": [{"type": "of tomorrow"}]}, "agents.create", "tools[].type"),
        (
            WORKS,
            {"agent": {"tools": [TOOL, {"type": "automations"}]}},
            "agents.sessions.update",
            "agent.tools[].type",
        ),
        (WORKS, {"review": "auto_review"}, "agents.sessions.update", "review"),
        ("/v1/agents/sessions", {"review": ["none"]}, "agents.sessions.create", "review"),
        (
            f"{WORKS}/events",
            {"events": [SAID, {"type": "agent.session.input.subagent"}]},
            "agents.sessions.events",
            "events[].type",
        ),
    ],
)
def test_what_would_run_models_that_no_request_names_is_refused(
    path: str, body: Any, operation: str, where: str
) -> None:
    told = post("openai", path, {"model": "m", **body} if path == "/v1/agents" else body)
    reason, why = unseen(operation, where)
    assert not isinstance(told, Call)
    assert (told[0], told[1].startswith(operation), told[1].endswith(why)) == (reason, True, True)


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/v1/agents", {}, Reason.MALFORMED_REQUEST),
        ("/v1/agents", {"model": None, "name": "x"}, Reason.MALFORMED_REQUEST),
        ("/v1/agents", {"model": "m", "multi_agent": True}, Reason.MALFORMED_REQUEST),
        ("/v1/agents", {"model": "m", "tools": [{"name": "x"}]}, Reason.MALFORMED_REQUEST),
        ("/v1/agents", {"model": "m", "Multi_Agent": {}}, Reason.AMBIGUOUS_MODEL),
        ("/v1/agents", {"model": "m", "reasoning": {"model": "n"}}, Reason.AMBIGUOUS_MODEL),
        ("/v1/agents", {"model": "m", "multi_agent": {"model": "n"}}, Reason.AMBIGUOUS_MODEL),
        ("/v1/agents/sessions", {"agent": {}, "input": "x"}, Reason.MALFORMED_REQUEST),
        ("/v1/agents/sessions", {"agent_id": 7}, Reason.MALFORMED_REQUEST),
        ("/v1/agents/sessions", {"agent_id": "a/b"}, Reason.MALFORMED_REQUEST),
        (
            "/v1/agents/sessions",
            {"agent_id": "a", "input": [{"type": "item_reference"}]},
            Reason.MALFORMED_REQUEST,
        ),
        (f"{WORKS}/events", {"events": [{**SAID, "model": "n"}]}, Reason.AMBIGUOUS_MODEL),
        (f"{WORKS}/turns", {"input": "x"}, Reason.UNSUPPORTED_OPERATION),
        (f"{WORKS}/subagents/a_1/events", {"events": []}, Reason.UNSUPPORTED_OPERATION),
        ("/v1/agents/automations", {"target": {}}, Reason.UNSUPPORTED_OPERATION),
        ("/v1/agents/automations/a_1/invocations", {}, Reason.UNSUPPORTED_OPERATION),
        ("/openai/v1/agents", {"model": "m"}, Reason.UNSUPPORTED_OPERATION),
    ],
)
def test_what_cannot_be_decided_is_refused(path: str, body: Any, reason: Reason) -> None:
    told = post("azure" if path.startswith("/openai") else "openai", path, body)
    assert not isinstance(told, Call)
    assert told[0] is reason


def test_agents_and_sessions_are_made_to_be_registered_and_changed_with_what_they_had() -> None:
    made = {row.name: creation("openai", row.name) for row in AGENTS}
    kinds = {name: (one.kind, one.registered) for name, one in made.items() if one is not None}
    assert kinds == {
        "agents.create": ("agent", True),
        "agents.environments.create": ("agent_environment", False),
        "agents.environments.templates.create": ("agent_template", False),
        "agents.sessions.create": ("session", True),
        "vaults.create": ("vault", False),
        "vaults.credentials.create": ("vault_credential", False),
    }
    assert {row.name: row.updates for row in AGENTS if row.updates} == {
        "agents.update": {"agent"},
        "agents.sessions.update": {"session"},
    }
    assert updated_by("openai", "agents.update") == {"agent"}
    assert updated_by("azure", "agents.update") == frozenset()


def test_every_row_that_sets_an_agent_to_work_refuses_what_nobody_sees() -> None:
    narrowed = {
        row.name: {place for place, role in row.reads.items() if isinstance(role, AllowedValues)}
        for row in PROVIDERS["openai"].operations
        if any(isinstance(role, AllowedValues) for role in row.reads.values())
    }
    configured = {"multi_agent.enabled", "tools[].type"}
    below = {f"agent.{place}" for place in configured} | {"review"}
    assert narrowed == {
        "agents.create": configured,
        "agents.update": configured,
        "agents.sessions.create": below,
        "agents.sessions.update": below,
        "agents.sessions.events": {"events[].type"},
        "responses": {"multi_agent.enabled"},
    }


# ---- held against the types of the SDK -----------------------------------------------------------


def types_of(union: Any) -> set[str]:
    """What ``type`` may say in each of the kinds that a union of the SDK has."""
    hints = [typing_extensions.get_type_hints(one) for one in typing.get_args(union)]
    return {word for hint in hints for word in typing.get_args(hint["type"])}


def allowed(operation: str, where: str) -> frozenset[str | bool]:
    found = {row.reads[where] for row in AGENTS if row.name == operation and where in row.reads}
    (role,) = found
    assert isinstance(role, AllowedValues)
    return role.values


def test_every_tool_of_the_sdk_is_let_through_but_wake_ups() -> None:
    for union, operation, where in (
        (PersistedAgentToolParam, "agents.create", "tools[].type"),
        (AgentToolParam, "agents.sessions.create", "agent.tools[].type"),
    ):
        assert types_of(union) == allowed(operation, where) | {"automations"}


def test_every_event_of_the_sdk_is_let_through() -> None:
    events = {
        word for word in types_of(AgentSessionInputParam) if word.startswith("agent.session.input.")
    }
    assert events == allowed("agents.sessions.events", "events[].type")


def test_the_sdk_knows_no_review_but_none_and_one_by_a_model() -> None:
    hints = typing_extensions.get_type_hints(SessionCreateParamsBase)
    told = set(typing.get_args(hints["review"]))
    assert told == allowed("agents.sessions.create", "review") | {"auto_review"}


def test_an_agent_does_choose_the_models_of_its_sub_agents() -> None:
    """The reason to refuse them; once the SDK has no such field, look again."""
    assert "model" in AgentCreateSubagentCallItem.model_fields
