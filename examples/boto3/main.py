"""Asks an adapted model on Bedrock one question with boto3, through the local Envoy."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError


def add_credential(request: Any, **_: Any) -> None:
    """Read the JWT-SVID anew for each request: it lasts minutes, and its file is replaced."""
    token = Path(os.environ["CREDENTIAL_FILE"]).read_text().strip()
    request.headers["x-environment-credential"] = token


client = boto3.client(
    "bedrock-runtime",
    region_name="eu-central-1",
    endpoint_url=os.environ.get("BASE_URL", "http://127.0.0.1:10000"),
    config=Config(signature_version=UNSIGNED),  # Envoy signs what was admitted
)
client.meta.events.register("before-send.bedrock-runtime", add_credential)
try:
    answer = client.converse(
        modelId=os.environ["MODEL"],  # a deployment's ARN
        messages=[{"role": "user", "content": [{"text": "Where is my refund?"}]}],
    )
except ClientError as error:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    found = error.response["Error"]
    reason = error.response["ResponseMetadata"]["HTTPHeaders"].get("x-admissibility-reason")
    sys.exit(f"denied: {status} {reason}: {found['Message']}")
print(answer["output"]["message"]["content"][0]["text"])
