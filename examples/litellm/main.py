"""Asks an adapted model one question with LiteLLM, through the local Envoy."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else prices are downloaded

import litellm
import openai


def credential() -> dict[str, str]:
    """Read the JWT-SVID anew for each call: it lasts minutes, and its file is replaced."""
    token = Path(os.environ["CREDENTIAL_FILE"]).read_text().strip()
    return {"x-environment-credential": token}


try:
    answer = litellm.completion(
        # The prefix chooses the API's form; what follows is the model id as it is sent.
        model=f"openai/{os.environ['MODEL']}",
        api_base=os.environ.get("BASE_URL", "http://127.0.0.1:10000/v1"),
        api_key="held-by-the-gateway",  # required by the client; Envoy replaces it
        messages=[{"role": "user", "content": "Where is my refund?"}],
        extra_headers=credential(),
    )
except openai.APIError as error:  # LiteLLM's exceptions are subclasses of it; 403 has no own one
    code = (error.litellm_response_headers or {}).get("x-admissibility-reason")
    sys.exit(f"denied: {error.status_code} {code}: {error.message}")
print(answer.choices[0].message.content)
