"""Asks an adapted model one question with LlamaIndex, through the local Envoy.

OpenAILike takes any model id; the class OpenAI knows a list of its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import openai
from llama_index.llms.openai_like import OpenAILike


def add_credential(request: Any) -> None:
    """Read the JWT-SVID anew for each request: it lasts minutes, and its file is replaced."""
    token = Path(os.environ["CREDENTIAL_FILE"]).read_text().strip()
    request.headers["x-environment-credential"] = token


model = OpenAILike(
    model=os.environ["MODEL"],
    api_base=os.environ.get("BASE_URL", "http://127.0.0.1:10000/v1"),
    api_key="held-by-the-gateway",  # required by the client; Envoy replaces it
    is_chat_model=True,
    http_client=openai.DefaultHttpxClient(event_hooks={"request": [add_credential]}),
)
try:
    answer = model.complete("Where is my refund?")
except openai.APIStatusError as error:
    sys.exit(f"denied: {error.status_code} {error.code}: {error.message}")
print(answer.text)
