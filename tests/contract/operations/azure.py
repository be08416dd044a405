"""Azure OpenAI: its own table of shapes, laid over OpenAI's operations.

Azure publishes its own document (``azure-rest-api-specs``, Azure OpenAI inference 2024-10-21); what
it has beyond OpenAI's fits in a table: which operations exist below a deployment, and where a body
names a second deployment.
"""

from __future__ import annotations

from typing import Any

from tests.contract.operations.openapi import in_order

API_VERSION = "api-version=2024-10-21"
DEPLOYMENT = "/openai/deployments/{deployment-id}"
BELOW_A_DEPLOYMENT = (
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/images/edits",
    "/images/generations",
)
"""Operations with the deployment in the path."""

SHAPES = {"/openai/v1": "", "/openai": API_VERSION}
"""Prefixes below which every operation of OpenAI may exist, and the query each needs."""

SECOND_DEPLOYMENTS = {
    "/chat/completions": {
        "data_sources[].parameters.embedding_dependency.deployment_name": {
            "data_sources": [
                {
                    "type": "azure_search",
                    "parameters": {
                        "endpoint": "https://search.example",
                        "index_name": "x",
                        "authentication": {"type": "system_assigned_managed_identity"},
                        "embedding_dependency": {"type": "deployment_name", "deployment_name": "x"},
                    },
                }
            ],
            "messages": [{"role": "user", "content": "x"}],
        }
    }
}
"""Places of deployments in bodies that OpenAI's document does not have."""

SOCKETS = (
    {
        "id": "azure.realtime",
        "method": "GET",
        "path": "/openai/realtime",
        "parameters": [["query", "api-version", "other"], ["query", "deployment", "deployment"]],
        "upgrade": True,
    },
    {
        "id": "azure.v1.realtime",
        "method": "GET",
        "path": "/openai/v1/realtime",
        "parameters": [["query", "model", "model"]],
        "upgrade": True,
    },
)


def reduce(openai: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The operations below a deployment, and the sockets; the rest is ``SHAPES``.

    Args:
        openai: The reduced operations of OpenAI.
    """
    rows: list[dict[str, Any]] = [dict(row) for row in SOCKETS]
    for told in openai:
        path = told["path"].removeprefix("/v1")
        if told["method"] != "POST" or path not in BELOW_A_DEPLOYMENT:
            continue
        row = dict(told) | {
            "id": f"azure.{told['id']}",
            "path": DEPLOYMENT + path,
            "parameters": [
                ["path", "deployment-id", "deployment"],
                ["query", "api-version", "other"],
            ],
        }
        for place, body in SECOND_DEPLOYMENTS.get(path, {}).items():
            row["models"] = row["models"] | {place: {"application/json": body}}
        rows.append(row)
    return in_order(rows)
