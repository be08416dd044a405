"""Lists the rows of OpenAI's agents (beta, autumn 2026), which later run without naming a model.

An agent and a session are registered with their models. Every request that runs, changes or reads a
session is checked against all of them. Neither has versions: an agent is changed in place, and the
gate does not see which change came last, so its earlier models stay registered.

Features that run models which no request names are refused: sub-agents (the agent chooses
their models, ``model`` of a ``create_subagent_call``), a reviewer of actions, and automations.
"""

from __future__ import annotations

from sidecar.providers.json_paths import AllowedValues, Meaning, Role, Stored
from sidecar.providers.operation import Body, Operation, modelless, never

AGENT, SESSION = "agent", "session"

NO_SUBAGENTS = AllowedValues(
    frozenset({False}),
    "an agent may choose the models of its sub-agents, and no request names them",
)
"""Applies to a response too, whose calls to sub-agents are written by the model."""

_NO_REVIEWER = AllowedValues(
    frozenset({"none"}), "actions would be reviewed by a model that no request names"
)
_TOOLS = AllowedValues(
    frozenset(
        {
            "computer_use",
            "function",
            "mcp",
            "programmatic_tool_calling",
            "tool_search",
            "web_search",
        }
    ),
    "such a tool may run models later that no request names, as automations do",
    Role.TOOL_TYPE,
)
_EVENTS = AllowedValues(
    frozenset(
        f"agent.session.input.{name}"
        for name in (
            "cancel",
            "computer_use_approval_request_result",
            "mcp_approval_request_result",
            "message",
            "tool_result",
        )
    ),
    "such an event is unknown to the gate, and could run any model",
)


def _agent(where: str = "") -> dict[str, Meaning]:
    """Return the paths of an agent's configuration, below ``where``."""
    places: dict[str, Meaning] = {
        "model": Role.MODEL,
        "multi_agent.enabled": NO_SUBAGENTS,
        "tools[]": Role.TOOL,
        "tools[].type": _TOOLS,
        "tools[].parameters": Role.DATA,
        "tools[].request_metadata": Role.DATA,
        "tools[].transport.env": Role.DATA,
        "tools[].transport.headers": Role.DATA,
        "text.format.schema": Role.DATA,
    }
    return {where + place: role for place, role in places.items()}


_SESSIONS = "/agents/sessions"
_SESSION = "/agents/sessions/{session}"
_PAGE: dict[str, Meaning] = dict.fromkeys(("after", "limit", "order"), Role.WORD)

_MADE: tuple[Operation, ...] = (
    Operation(
        "agents.create",
        "POST",
        "/agents",
        {**_agent(), "metadata": Role.DATA},
        creates=AGENT,
        registered=True,
    ),
    Operation(
        "agents.update",
        "POST",
        "/agents/{agent}",
        {**_agent(), "metadata": Role.DATA},
        updates=frozenset({AGENT}),
    ),
    Operation(
        "agents.sessions.create",
        "POST",
        _SESSIONS,
        {
            **_agent("agent."),
            "agent_id": Stored(AGENT),
            "input[]": Role.ITEM,
            "review": _NO_REVIEWER,
            "stream": Role.STREAM,
            "environment.env": Role.DATA,
            "metadata": Role.DATA,
        },
        texts=frozenset({"input"}),
        creates=SESSION,
        registered=True,
    ),
    Operation(
        "agents.sessions.update",
        "POST",
        _SESSION,
        {**_agent("agent."), "review": _NO_REVIEWER, "metadata": Role.DATA},
        updates=frozenset({SESSION}),
    ),
)

_RUN: tuple[Operation, ...] = (
    Operation(
        "agents.sessions.events",
        "POST",
        f"{_SESSION}/events",
        {"events[].type": _EVENTS, "events[].input[]": Role.ITEM},
    ),
    Operation(
        "agents.sessions.events",
        "GET",
        f"{_SESSION}/events",
        query={"include_obfuscation": Role.WORD},
        streams=True,
    ),
    *(
        Operation("agents.sessions.read", "GET", f"{_SESSION}{below}", query=query)
        for below, query in (
            ("", {}),
            ("/items", _PAGE),
            ("/turns", _PAGE),
            ("/turns/{id}", {}),
            ("/turns/{id}/items", _PAGE),
            ("/traces", _PAGE),
            ("/artifacts", {**_PAGE, "environment_id": Role.WORD}),
            ("/artifacts/{id}", {}),
            ("/artifacts/{id}/content", {}),
            ("/subagents", _PAGE),
            ("/subagents/{id}", {}),
            ("/subagents/{id}/items", _PAGE),
            ("/subagents/{id}/turns", _PAGE),
            ("/subagents/{id}/turns/{id}", {}),
            ("/subagents/{id}/turns/{id}/items", _PAGE),
        )
    ),
)
"""Rows that run a session, and rows that read it, because its content is its models' output."""

_UNSEEN = "it runs later without passing the gate"
_AUTOMATION = "/agents/automations/{automation}"

_AUTOMATIONS: tuple[Operation, ...] = (
    never("agents.automations.create", "POST", "/agents/automations", _UNSEEN),
    never("agents.automations.update", "POST", _AUTOMATION, _UNSEEN),
    never("agents.automations.resume", "POST", f"{_AUTOMATION}/resume", _UNSEEN),
    never(
        "agents.automations.invocations.create",
        "POST",
        f"{_AUTOMATION}/invocations",
        "what it starts was set up past the gate",
    ),
    modelless("agents.automations.list", "GET", "/agents/automations", *_PAGE, "session_id"),
    modelless("agents.automations.retrieve", "GET", _AUTOMATION),
    modelless("agents.automations.pause", "POST", f"{_AUTOMATION}/pause", body=Body.UNREAD),
    modelless("agents.automations.delete", "DELETE", _AUTOMATION),
    modelless("agents.automations.invocations.list", "GET", f"{_AUTOMATION}/invocations", *_PAGE),
    modelless(
        "agents.automations.invocations.retrieve", "GET", f"{_AUTOMATION}/invocations/{{id}}"
    ),
)


def _kept(name: str, route: str, kind: str, *methods: str) -> tuple[Operation, ...]:
    """Return rows for a collection at ``route`` whose objects, of one kind, name no model."""
    one = f"{route}/{{{kind}}}"
    made = {
        "list": modelless(f"{name}.list", "GET", route, *_PAGE),
        "create": modelless(f"{name}.create", "POST", route, body=Body.UNREAD, creates=kind),
        "retrieve": modelless(f"{name}.retrieve", "GET", one),
        "update": modelless(f"{name}.update", "POST", one, body=Body.UNREAD),
        "delete": modelless(f"{name}.delete", "DELETE", one),
    }
    return tuple(made[method] for method in methods)


_PLACES = "/agents/environments"
_PLACE_FILES = f"{_PLACES}/{{agent_environment}}/files"
_ALL = ("list", "create", "retrieve", "update", "delete")

AGENTS: tuple[Operation, ...] = (
    *_MADE,
    *_kept("agents", "/agents", AGENT, "list", "retrieve", "delete"),
    *_RUN,
    modelless("agents.sessions.list", "GET", _SESSIONS, *_PAGE, "agent_id"),
    modelless("agents.sessions.delete", "DELETE", _SESSION),
    modelless("agents.sessions.artifacts.delete", "DELETE", f"{_SESSION}/artifacts/{{id}}"),
    *_AUTOMATIONS,
    *_kept("agents.environments", _PLACES, "agent_environment", "list", "create", "retrieve"),
    modelless("agents.environments.files.list", "GET", _PLACE_FILES, *_PAGE),
    modelless("agents.environments.files.create", "POST", _PLACE_FILES, body=Body.UNREAD),
    *_kept("agents.environments.templates", f"{_PLACES}/templates", "agent_template", *_ALL),
    *_kept("vaults", "/vaults", "vault", *_ALL),
    *_kept("vaults.credentials", "/vaults/{vault}/credentials", "vault_credential", *_ALL),
)
"""Where an agent runs, and the credentials of its tools, name no model."""
