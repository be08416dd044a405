"""Asks an adapted model one question with OpenAI's Python client, through the local Envoy."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import openai


def add_credential(request: Any) -> None:
    """Read the JWT-SVID anew for each request: it lasts minutes, and its file is replaced."""
    token = Path(os.environ["CREDENTIAL_FILE"]).read_text().strip()
    request.headers["x-environment-credential"] = token


client = openai.OpenAI(
    base_url=os.environ.get("BASE_URL", "http://127.0.0.1:10000/v1"),
    api_key="held-by-the-gateway",  # required by the client; Envoy replaces it
    http_client=openai.DefaultHttpxClient(event_hooks={"request": [add_credential]}),
)
try:
    answer = client.chat.completions.create(
        model=os.environ["MODEL"],
        messages=[{"role": "user", "content": "Where is my refund?"}],
    )
except openai.APIStatusError as error:
    sys.exit(f"denied: {error.status_code} {error.code}: {error.message}")
print(answer.choices[0].message.content)
