"""Asks an adapted model on Azure one question with AzureOpenAI, through the local Envoy."""

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


client = openai.AzureOpenAI(
    azure_endpoint=os.environ.get("BASE_URL", "http://127.0.0.1:10000"),
    azure_deployment=os.environ["MODEL"],  # a deployment's name, which is put into the path
    api_version="2024-10-21",
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
