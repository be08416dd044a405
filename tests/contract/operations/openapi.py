"""An OpenAPI document, reduced to what a provider's table has to know."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tests.contract.operations.schemas import Schema, Walker, names_model, reference_kind

METHODS = ("get", "post", "put", "patch", "delete", "head", "options")
_DEPLOYMENT = ("deployment", "profile", "provisioned")


def reduce(document: Schema) -> list[dict[str, Any]]:
    """Every operation of the document, sorted by path and method.

    Args:
        document: The parsed OpenAPI document.
    """
    base = urlsplit((document.get("servers") or [{"url": ""}])[0]["url"]).path.rstrip("/")
    walker = Walker(document)
    operations = []
    for path, methods in document["paths"].items():
        shared = methods.get("parameters", [])
        for method in METHODS:
            if method not in methods:
                continue
            told = methods[method]
            parameters = [walker.resolve(item) for item in (*shared, *told.get("parameters", []))]
            content = walker.resolve(told.get("requestBody", {})).get("content", {})
            name = told.get("operationId", f"{method} {path}")
            operations.append(
                {
                    "id": name,
                    "method": method.upper(),
                    "path": base + path,
                    **parameters_of(
                        [(item["in"], item["name"]) for item in parameters], method.upper()
                    ),
                    **body_of(
                        walker, {kind: item.get("schema", {}) for kind, item in content.items()}
                    ),
                    **_json_parts(content),
                }
            )
    return in_order(operations)


def _json_parts(content: Schema) -> dict[str, Any]:
    """Parts of a form that are JSON documents of their own."""
    told = content.get("multipart/form-data", {}).get("encoding", {})
    parts = [key for key, how in told.items() if how.get("contentType") == "application/json"]
    return {"json_parts": sorted(parts)} if parts else {}


def in_order(operations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sorted, so that a regenerated file shows only what changed."""
    return sorted(operations, key=lambda row: (row["path"], row["method"], row["id"]))


def parameters_of(parameters: list[tuple[str, str]], method: str) -> dict[str, Any]:
    """Path and query parameters as ``[where, name, role]``, headers where they name a model."""
    rows = sorted({(where, name, role_of(where, name, method)) for where, name in parameters})
    told = [list(row) for row in rows if row[0] in ("path", "query") or row[2] != "other"]
    return {"parameters": told} if told else {}


def role_of(where: str, name: str, method: str) -> str:
    """``model``, ``deployment``, a kind of stored object as ``id:KIND``, ``id`` or ``other``.

    A model in the query of a GET chooses among what is listed: a ``filter`` runs nothing.
    """
    if any(word in name.lower() for word in _DEPLOYMENT) and where != "query":
        return "deployment"
    if names_model(name) or (where == "path" and name == "fine_tuned_model_checkpoint"):
        return "filter" if where == "query" and method == "GET" else "model"
    kind = reference_kind(name)
    if kind is not None:
        return f"id:{kind}"
    if name == "call_id":
        return "id:call"
    return "id" if where == "path" else "other"


def body_of(walker: Walker, content: dict[str, Schema]) -> dict[str, Any]:
    """Content types, the smallest body and the places in it.

    Several content types of one operation (JSON or multipart) are told in one row: the places are
    those of all of them, and which of them a place belongs to is not kept, because a gate has to
    read it in any of them.
    """
    if not content:
        return {}
    made: dict[str, Any] = {"content": sorted(content)}
    models: dict[str, Any] = {}
    references: dict[str, list[Any]] = {}
    streams: set[str] = set()
    for kind in sorted(content):
        minimal = walker.minimal(content[kind])
        if isinstance(minimal, dict):
            made.setdefault("body", {})[kind] = minimal
        for found in walker.find(content[kind]):
            if found.role == "model":
                models.setdefault(found.place, {})[kind] = found.body
            elif found.role == "reference":
                references.setdefault(found.place, [found.kind, {}])[1][kind] = found.body
            else:
                streams.add(found.place)
    if models:
        made["models"] = dict(sorted(models.items()))
    if references:
        made["references"] = dict(sorted(references.items()))
    if streams:
        made["stream"] = sorted(streams)
    return made
