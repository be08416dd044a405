"""A provider's agents: kept, changed in place, and run by sessions, in OpenAI's wire format.

The shapes are those of the SDK's types, which a test holds them against. What runs is written down
with its model, so that a test can tell what the provider would have run.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ROOT = "/v1/agents"
_NOW = 1780000000
Json = dict[str, Any]


@dataclass
class Agents:
    """What there is, and what ran: the session and the model of each turn."""

    agents: dict[str, Json] = field(default_factory=dict)
    sessions: dict[str, Json] = field(default_factory=dict)
    ran: list[tuple[str, str]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    heard: dict[str, list[asyncio.Queue[Json]]] = field(default_factory=dict)

    async def answer(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        """Answer a request below ``/v1/agents``."""
        parts = request.path.removeprefix(ROOT).strip("/").split("/")
        asked = json.loads(body) if body else {}
        if parts[0] != "sessions":
            return web.json_response(self._agent(request.method, parts[0], asked))
        if len(parts) > 2 and parts[2] == "events":
            return await self._events(request, parts[1], asked)
        if parts[1:]:
            return web.json_response(self._session(request.method, parts[1], asked, parts[2:]))
        made = self._begin(asked)
        turn = self._turn(made["id"]) if asked.get("input") else []
        if not asked.get("stream"):
            return web.json_response(made)
        answer = await _streaming(request)
        for event in (_event("agent.session.created", session=made), *turn):
            await _say(answer, event)
        await answer.write_eof()
        return answer

    def _agent(self, method: str, name: str, asked: Json) -> Json:
        if not name:
            name = f"agent_{next(self.numbers)}"
            self.agents[name] = agent(name, asked)
        elif method == "POST":
            self.agents[name] |= asked
        elif method == "DELETE":
            del self.agents[name]
            return {"id": name, "object": "agent.deleted", "deleted": True}
        return self.agents[name]

    def _begin(self, asked: Json) -> Json:
        """A session takes the agent as it is now, under what it says itself."""
        saved = self.agents[asked["agent_id"]] if "agent_id" in asked else {"id": "agent_inline"}
        name = f"session_{next(self.numbers)}"
        made = session(name, {**saved, **asked.get("agent", {})}, asked["environment"]["type"])
        self.sessions[name] = made
        return made

    def _session(self, method: str, name: str, asked: Json, below: list[str]) -> Json:
        if below:
            return {"object": "list", "data": [], "has_more": False}
        if method == "POST":
            self.sessions[name]["agent"] |= asked.get("agent", {})
        return self.sessions[name]

    async def _events(self, request: web.BaseRequest, name: str, asked: Json) -> web.StreamResponse:
        if request.method == "POST":
            for event in self._turn(name):
                for listener in self.heard.get(name, []):
                    listener.put_nowait(event)
            return web.Response(status=202)
        queue: asyncio.Queue[Json] = asyncio.Queue()
        self.heard.setdefault(name, []).append(queue)
        answer = await _streaming(request)
        while True:  # until the client has heard enough, and goes
            await _say(answer, await queue.get())

    def _turn(self, name: str) -> list[Json]:
        """Run the session's model once."""
        held = self.sessions[name]
        model, turn = held["agent"]["model"], f"turn_{next(self.numbers)}"
        self.ran.append((name, model))
        about: Json = {"session_id": name, "turn_id": turn}
        return [
            _event("agent.session.turn.created", **about, turn=turned(turn, held, "in_progress")),
            _event(
                "agent.session.turn.output_text.delta",
                **about,
                delta=f"{model} speaks",
                content_index=0,
                item_id="msg_1",
                output_index=0,
            ),
            _event("agent.session.turn.completed", **about, turn=turned(turn, held, "completed")),
            _event("agent.session.idle", session=held),
        ]


_EVENT_NUMBERS = itertools.count(1)


def _event(kind: str, **more: Any) -> Json:
    return {"type": kind, "event_id": f"event_{next(_EVENT_NUMBERS)}", **more}


async def _streaming(request: web.BaseRequest) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await answer.prepare(request)
    return answer


async def _say(answer: web.StreamResponse, event: Json) -> None:
    await answer.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())


def _configured(asked: Json) -> Json:
    return {
        "instructions": None,
        "name": None,
        "multi_agent": {"enabled": False, "max_concurrent_subagents": None},
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "auto",
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tools": [],
        **asked,
    }


def agent(name: str, asked: Json) -> Json:
    return {
        "id": name,
        "object": "agent",
        "created_at": _NOW,
        "updated_at": _NOW,
        "metadata": {},
        **_configured(asked),
    }


def session(name: str, runs: Json, environment: str) -> Json:
    known = {"id", "model", *_configured({})}
    return {
        "id": name,
        "object": "agent.session",
        "agent": _configured({key: value for key, value in runs.items() if key in known}),
        "created_at": _NOW,
        "last_active_at": _NOW,
        "environment": {"type": environment},
        "metadata": {},
        "required_actions": [],
        "status": "idle",
        "vault_ids": [],
    }


def turned(name: str, held: Json, status: str) -> Json:
    return {
        "id": name,
        "object": "agent.session.turn",
        "agent_id": held["agent"]["id"],
        "session_id": held["id"],
        "created_at": _NOW,
        "status": status,
    }
