"""Calls models with the ``openai`` SDK, as an application that has no part in the gate.

It has a base URL and, in one header, its environment's credential; the API key it passes is a
placeholder that Envoy drops.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import openai

CREDENTIAL_HEADER = "x-environment-credential"
PLACEHOLDER_KEY = "held-by-the-gateway"
QUESTION = "Where is my refund?"


@dataclass(frozen=True, slots=True)
class SdkReply:
    """A reply as the SDK reports it.

    Attributes:
        status: HTTP status; 0 where there was no reply.
        reason: The error's ``code``, or ``admitted``.
        text: The answer, or the error's message.
        error: Name of the SDK's exception; empty for an answer.
        seconds: How long the call took.
        finish_reason: Why the answer ended, where it was asked for with ``ask``.
    """

    status: int
    reason: str
    text: str
    error: str = ""
    seconds: float = 0.0
    finish_reason: str = ""


@dataclass(frozen=True, slots=True)
class Application:
    """Calls through one gateway with one environment's credential, or with none."""

    gateway: str
    credential: str | None

    def chat(self, model: str) -> SdkReply:
        """Ask ``model`` one question."""
        return _outcome(lambda: str(self._ask(model).choices[0].message.content))

    def ask(self, model: str, question: str, **settings: float) -> SdkReply:
        """Ask ``model`` a question with the settings of a suite."""
        ended: list[str] = []

        def answer() -> str:
            choice = self._ask(model, question, **settings).choices[0]
            ended.append(choice.finish_reason)
            return str(choice.message.content)

        return replace(_outcome(answer), finish_reason="".join(ended))

    def stream(self, model: str) -> SdkReply:
        """Ask for the answer as a stream of server-sent events."""

        def joined() -> str:
            with self._client() as client:
                chunks = client.chat.completions.create(
                    model=model, messages=[{"role": "user", "content": QUESTION}], stream=True
                )
                return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

        return _outcome(joined)

    def malformed(self) -> SdkReply:
        """Send a body with two ``model`` keys, which parsers read differently (RFC 8259 §4)."""
        body = b'{"model": "gpt-4o-2024-08-06", "messages": [], "model": "ft:sneaked-in"}'

        def post() -> str:
            with self._client() as client:
                return str(client.post("/chat/completions", cast_to=object, content=body))

        return _outcome(post)

    def load_adapter(self, name: str, path: str) -> SdkReply:
        """Ask a server of open weights to load an adapter, as its administrator would."""
        body = {"lora_name": name, "lora_path": path}

        def post() -> str:
            with self._client() as client:
                return str(client.post("/load_lora_adapter", cast_to=object, body=body))

        return _outcome(post)

    def _ask(self, model: str, question: str = QUESTION, **settings: Any) -> Any:  # noqa: ANN401 - the SDK's own types
        with self._client() as client:
            return client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": question}], **settings
            )

    def _client(self) -> openai.OpenAI:
        headers = {"content-type": "application/json"}
        if self.credential is not None:
            headers[CREDENTIAL_HEADER] = self.credential
        return openai.OpenAI(
            api_key=PLACEHOLDER_KEY,
            base_url=self.gateway,
            default_headers=headers,
            max_retries=0,
            timeout=10,
            http_client=openai.DefaultHttpxClient(verify=_roots()),
        )


@cache
def _roots() -> ssl.SSLContext:
    """Return the trusted roots, read once: for each client that takes longer than its call."""
    return ssl.create_default_context()


def _outcome(call: Callable[[], str]) -> SdkReply:
    started = time.perf_counter()
    try:
        text = call()
    except openai.APIStatusError as error:
        body = error.body if isinstance(error.body, dict) else {}
        return SdkReply(
            status=error.status_code,
            reason=str(body.get("code") or "?"),
            text=str(body.get("message") or error.message),
            error=type(error).__name__,
            seconds=time.perf_counter() - started,
        )
    except openai.APIConnectionError as error:
        return SdkReply(0, "no_reply", str(error), type(error).__name__)
    return SdkReply(200, "admitted", text, seconds=time.perf_counter() - started)
