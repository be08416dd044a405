"""The demo's stage before Amazon Bedrock: Envoy signs calls, and the stand-in verifies them."""

from __future__ import annotations

import http.server
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from admissibility_devtools.demo.authorities import GRANTS, PROVIDER, Scenario
from admissibility_devtools.demo.stage import Stage
from admissibility_devtools.demo.upstream import ANSWERS, WORDS
from admissibility_devtools.tools.envoy_config import Name, reference, render
from admissibility_devtools.tools.envoy_process import EnvoyProcess
from tests.process.envoy import sigv4
from tests.process.envoy.certificates import serve_as
from tests.process.envoy.doubles import Received
from tests.support.bedrock import BASE
from tests.support.evaluation import Hurdles
from tests.support.site.envoy import patient

HOST = "bedrock-runtime.eu-central-1.amazonaws.com"
BEDROCK = Scenario(
    "bedrock",
    PROVIDER,
    {
        name: {
            **grant,
            "models": ["bedrock/**"],
            **({"base_models": ["bedrock/amazon.nova-*"]} if name == PROVIDER else {}),
        }
        for name, grant in GRANTS.items()
    },
    BASE,
    "bedrock",
    "sandbox-bedrock",
)


@dataclass
class BedrockStage(Stage):
    """A stage whose provider is Bedrock's OpenAI-compatible API, over TLS.

    ``verified`` are the calls that arrived with a signature that holds.
    """

    scenario: Scenario = BEDROCK
    verified: list[Received] = field(default_factory=list)
    hurdles: Hurdles = field(default_factory=Hurdles)
    _server: http.server.ThreadingHTTPServer | None = None

    @property
    def gateway(self) -> str:
        """Base URL for the SDK, of Bedrock's OpenAI-compatible API."""
        assert self._envoy is not None
        return f"{self._envoy.url}/openai/v1"

    def start(self) -> None:
        """Start the stand-in, the gate and Envoy."""
        self._server = self._provider()
        self._start_gate()
        credential = self.folder / "credential" / "file"
        credential.parent.mkdir()
        credential.write_text(sigv4.credentials_file(), encoding="utf-8")
        self._envoy = self._envoy_of(self.scenario.gateway, self.folder / "envoy")
        self._envoy.start()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _envoy_of(self, name: Name, folder: Any) -> EnvoyProcess:
        host, _, port = self.listen.rpartition(":")
        assert self._server is not None
        config = render(
            patient(reference(name)),
            listener_port=0,
            admin_port=0,
            gate=(host, int(port)),
            upstream=("127.0.0.1", self._server.server_port),
            credential_file=self.folder / "credential" / "file",
            provider_roots=self.folder / "provider" / "roots.pem",
        )
        return EnvoyProcess(config, folder)

    def _provider(self) -> http.server.ThreadingHTTPServer:
        verified, hurdles = self.verified, self.hurdles

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                call = Received(self.command, self.path, headers, body)
                verified.append(sigv4.unsigned(call))
                status, value = hurdles.meet(body) or (200, _completion(json.loads(body)))
                answer = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        context, _ = serve_as(HOST, self.folder / "provider")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


def _completion(asked: dict[str, Any]) -> dict[str, Any]:
    question = asked["messages"][-1]["content"]
    message = {"role": "assistant", "content": ANSWERS.get(question, "".join(WORDS))}
    return {
        "id": "chatcmpl-standin",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16},
    }
