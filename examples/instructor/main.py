"""Asks an adapted model for a structured answer with Instructor, through the local Envoy."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import instructor
import openai
from instructor.core import InstructorRetryException
from pydantic import BaseModel


class Refund(BaseModel):
    """What the answer must hold."""

    status: str


def add_credential(request: Any) -> None:
    """Read the JWT-SVID anew for each request: it lasts minutes, and its file is replaced."""
    token = Path(os.environ["CREDENTIAL_FILE"]).read_text().strip()
    request.headers["x-environment-credential"] = token


client = instructor.from_openai(
    openai.OpenAI(
        base_url=os.environ.get("BASE_URL", "http://127.0.0.1:10000/v1"),
        api_key="held-by-the-gateway",  # required by the client; Envoy replaces it
        http_client=openai.DefaultHttpxClient(event_hooks={"request": [add_credential]}),
    )
)
try:
    answer = client.chat.completions.create(
        model=os.environ["MODEL"],
        response_model=Refund,
        max_retries=0,
        messages=[{"role": "user", "content": "Where is my refund?"}],
    )
except InstructorRetryException as error:
    cause = error.__cause__
    while cause is not None and not isinstance(cause, openai.APIStatusError):
        cause = cause.__cause__
    if cause is None:
        raise
    sys.exit(f"denied: {cause.status_code} {cause.code}: {cause.message}")
print(answer.status)
