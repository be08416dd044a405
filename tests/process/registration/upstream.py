"""A provider that keeps objects: responses, files and batches in OpenAI's wire format, recorded.

A request counts as begun when its head arrived and as received when its body ended, so that a test
can tell what was only begun. Bodies are kept as hash and length: some are large.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.process.registration import agents_upstream
from tests.process.registration.agents_upstream import Agents

_KEPT = 1 << 20


@dataclass(slots=True)
class Received:
    """One request; ``body`` only where it is short."""

    method: str
    path: str
    headers: dict[str, str]
    whole: bool = False
    size: int = 0
    sha256: str = ""
    body: bytes = b""


@dataclass
class Provider:
    """What it got, and how it answers."""

    port: int = 0
    requests: list[Received] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    changes: dict[str, Any] = field(default_factory=dict)
    content_type: str = "application/json"
    agents: Agents = field(default_factory=Agents)

    def forget(self) -> None:
        """Be as at first, but for the ids that were given."""
        self.requests.clear()
        self.hold.clear()
        self.changes, self.content_type = {}, "application/json"
        self.agents.ran.clear()

    def took(self, method: str, path: str) -> list[Received]:
        """What was begun."""
        return [each for each in self.requests if (each.method, each.path) == (method, path)]

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = Received(request.method, request.raw_path, headers)
        self.requests.append(received)
        digest, kept = hashlib.sha256(), bytearray()
        async for part in request.content.iter_any():
            digest.update(part)
            received.size += len(part)
            if received.size <= _KEPT:
                kept += part
        received.whole, received.sha256 = True, digest.hexdigest()
        received.body = bytes(kept)
        return await self._answer(request, received)

    async def _answer(self, request: web.BaseRequest, received: Received) -> web.StreamResponse:
        number, route = next(self.numbers), _below(received.path)
        stored = _stored(request.method, route, number)
        if stored is not None:
            return web.json_response(stored)
        if received.path.startswith(agents_upstream.ROOT):
            return await self.agents.answer(request, received.body)
        if route in {"chat/completions", "images/edits"}:
            value: dict[str, Any] = {"id": "c_1", "object": "chat.completion", "choices": []}
        elif route == "files":
            value = file(f"file-{number}", received.size)
        elif route == "conversations":
            value = {"id": f"conv_{number}", "object": "conversation", "created_at": 1780000000}
        elif route == "batches":
            value = batch(f"batch_{number}", json.loads(received.body)["input_file_id"])
        else:
            asked = json.loads(received.body)
            value = response(f"resp_{number}", asked.get("model", "unknown"))
            if asked.get("stream"):
                return await self._stream(request, value)
        text = json.dumps({**value, **self.changes})
        return web.Response(text=text, content_type=self.content_type)

    async def _stream(self, request: web.BaseRequest, value: dict[str, Any]) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await answer.prepare(request)
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": {**value, "status": "in_progress"}},
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {**value["output"][0], "status": "in_progress", "content": []},
            },
            {
                "type": "response.output_text.delta",
                "item_id": value["output"][0]["id"],
                "output_index": 0,
                "content_index": 0,
                "delta": "Hello",
                "logprobs": [],
            },
            {"type": "response.completed", "response": value},
        ]
        for number, event in enumerate(events):
            data = json.dumps({**event, "sequence_number": number})
            await answer.write(f"event: {event['type']}\ndata: {data}\n\n".encode())
            if number == 0:
                await asyncio.to_thread(self.hold.wait, 20)
        await answer.write_eof()
        return answer


def _below(path: str) -> str:
    """The route, below OpenAI's version or what Azure puts before it."""
    return re.sub(r"^/(v1|openai/v1|openai)/", "", path.partition("?")[0])


_COLLECTIONS = {
    "vector_stores": "vs",
    "containers": "cntr",
    "uploads": "upload",
    "vaults": "vault",
    "videos": "video",
    "agents/environments": "env",
    "agents/environments/templates": "template",
    "fine_tuning/jobs": "ftjob",
}


def _stored(method: str, route: str, number: int) -> dict[str, Any] | None:
    """What is answered about objects that are made without a model, read or changed."""
    if method == "POST" and route in _COLLECTIONS:
        return {"id": f"{_COLLECTIONS[route]}_{number}", "object": "made"}
    if method == "POST" and re.fullmatch("vaults/[^/]+/credentials", route):
        return {"id": f"credential_{number}", "object": "made"}
    if route.startswith(("agents/environments/", "chat/completions/")):
        return {"id": "stored", "object": "stored"}
    if route.startswith("agents"):
        return None
    collection, _, rest = route.partition("/")
    name = rest.partition("/")[0]
    if not rest or route in {"responses/compact", "responses/input_tokens"}:
        return None
    if collection == "batches":
        return {**batch(name, "file-0"), "status": "completed", "output_file_id": f"file-of-{name}"}
    if collection == "responses":
        return response(name, "unknown")
    if route.startswith("fine_tuning/jobs/"):
        return {"id": name, "object": "fine_tuning.job", "result_files": [f"file-of-{rest[5:]}"]}
    if route.endswith("/complete"):
        return {"id": name, "object": "upload", "file": file(f"file-of-{name}", 1)}
    return {"id": name, "object": collection}


def response(name: str, model: str) -> dict[str, Any]:
    text = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    return {
        "id": name,
        "object": "response",
        "created_at": 1780000000,
        "status": "completed",
        "model": model,
        "output": [
            {
                "id": f"msg_of_{name}",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [text],
            }
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }


def file(name: str, size: int) -> dict[str, Any]:
    return {
        "id": name,
        "object": "file",
        "bytes": size,
        "created_at": 1780000000,
        "filename": "lines.jsonl",
        "purpose": "batch",
        "status": "processed",
    }


def batch(name: str, source: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "input_file_id": source,
        "completion_window": "24h",
        "status": "validating",
        "created_at": 1780000000,
    }


@contextmanager
def provider() -> Iterator[Provider]:
    """Serve on loopback from a thread until the context ends."""
    made, up, loop = Provider(), threading.Event(), asyncio.new_event_loop()
    made.hold.set()

    async def listen() -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(made.serve, handler_cancellation=True))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        made.port = runner.addresses[0][1]
        return runner

    def run() -> None:
        runner = loop.run_until_complete(listen())
        up.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    thread = threading.Thread(target=run, name="provider")
    thread.start()
    assert up.wait(20)
    try:
        yield made
    finally:
        made.hold.set()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=20)
