"""A provider whose answers a test decides, over OpenAI's wire format."""

from __future__ import annotations

import http.server
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sidecar.core.sandbox import MANIFEST_HEADER
from tests.support.http_listener import listening

Reply = tuple[int, dict[str, Any]]
Script = Callable[["Asked"], Reply]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its last message, its whole body, and its headers."""

    text: str
    body: dict[str, Any]
    headers: dict[str, str]


def says(
    text: str, finish_reason: str = "stop", tool_calls: list[dict[str, Any]] | None = None
) -> Reply:
    """An answer."""
    message = {"role": "assistant", "content": text, "tool_calls": tool_calls}
    return 200, {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "the-models-own-name",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16},
    }


def refuses(status: int, code: str, message: str = "not now") -> Reply:
    """An error in the provider's form."""
    return status, {"error": {"message": message, "type": "error", "code": code, "param": None}}


@dataclass
class Scripted:
    """Answers by its script, and keeps what it was asked.

    ``manifest`` is what a gate on a sandbox route states in its header of each answer.
    """

    script: Script
    manifest: str | None = None
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def texts(self) -> list[str]:
        """The last message of each request, sorted."""
        return sorted(each.text for each in self.asked)


@contextmanager
def scripted(script: Script, manifest: str | None = None) -> Iterator[Scripted]:
    """Serve on loopback."""
    provider = Scripted(script, manifest)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(body["messages"][-1]["content"], body, headers)
            provider.asked.append(asked)
            status, value = provider.script(asked)
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            if provider.manifest is not None:
                self.send_header(MANIFEST_HEADER, provider.manifest)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with listening(Handler) as port:
        provider.url = f"http://127.0.0.1:{port}/v1"
        yield provider
