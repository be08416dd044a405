"""Asks an adapted model one question with Pydantic AI, through the local Envoy."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import openai
from pydantic_ai import Agent
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


async def add_credential(request: Any) -> None:
    """Read the JWT-SVID anew for each request: it lasts minutes, and its file is replaced."""
    file = Path(os.environ["CREDENTIAL_FILE"])
    token = (await asyncio.to_thread(file.read_text)).strip()
    request.headers["x-environment-credential"] = token


client = openai.AsyncOpenAI(
    base_url=os.environ.get("BASE_URL", "http://127.0.0.1:10000/v1"),
    api_key="held-by-the-gateway",  # required by the client; Envoy replaces it
    http_client=openai.DefaultAsyncHttpxClient(event_hooks={"request": [add_credential]}),
)
model = OpenAIChatModel(os.environ["MODEL"], provider=OpenAIProvider(openai_client=client))
try:
    answer = Agent(model).run_sync("Where is my refund?")
except ModelHTTPError as error:
    body = error.body if isinstance(error.body, dict) else {}
    sys.exit(f"denied: {error.status_code} {body.get('code')}: {body.get('message')}")
print(answer.output)
