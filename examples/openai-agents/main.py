"""Asks an adapted model one question with OpenAI's Agents SDK, through the local Envoy."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import openai
from agents import Agent, OpenAIChatCompletionsModel, Runner, set_tracing_disabled


async def add_credential(request: Any) -> None:
    """Read the JWT-SVID anew for each request: it lasts minutes, and its file is replaced."""
    file = Path(os.environ["CREDENTIAL_FILE"])
    token = (await asyncio.to_thread(file.read_text)).strip()
    request.headers["x-environment-credential"] = token


set_tracing_disabled(True)  # traces would go to the provider, around the gateway
client = openai.AsyncOpenAI(
    base_url=os.environ.get("BASE_URL", "http://127.0.0.1:10000/v1"),
    api_key="held-by-the-gateway",  # required by the client; Envoy replaces it
    http_client=openai.DefaultAsyncHttpxClient(event_hooks={"request": [add_credential]}),
)
model = OpenAIChatCompletionsModel(model=os.environ["MODEL"], openai_client=client)
try:
    answer = Runner.run_sync(Agent(name="Support", model=model), "Where is my refund?")
except openai.APIStatusError as error:
    sys.exit(f"denied: {error.status_code} {error.code}: {error.message}")
print(answer.final_output)
