"""The reduced documents, read back as operations of each API."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from tests.contract.operations import azure

DATA = Path(__file__).parent / "data"
Body = Any


@dataclass(frozen=True, slots=True)
class Published:
    """One operation with one content type of its request.

    Attributes:
        api: The table that reads it: ``openai``, ``azure`` or ``bedrock``.
        id: As the document calls it.
        method: HTTP method.
        path: With ``{name}`` for parameters; perhaps with a query that belongs to it.
        parameters: ``(where, name, role)``.
        content: Content type of the request, or empty for one without a body.
        body: The smallest body.
        models: Place of a model id, and the smallest body that has it.
        references: Place of a stored object, its kind and the smallest body that has it.
        streams: Places that choose streaming.
        json_parts: Parts of a form that are JSON documents.
        upgrade: Whether it asks to leave HTTP for a WebSocket.
    """

    api: str
    id: str
    method: str
    path: str
    parameters: tuple[tuple[str, str, str], ...] = ()
    content: str = ""
    body: Body = None
    models: dict[str, Body] = field(default_factory=dict)
    references: dict[str, tuple[str, Body]] = field(default_factory=dict)
    streams: tuple[str, ...] = ()
    json_parts: frozenset[str] = frozenset()
    upgrade: bool = False

    @property
    def names_a_model(self) -> bool:
        """Whether a model id can stand anywhere in it."""
        return bool(self.models) or any(
            role in ("model", "deployment") for _, _, role in self.parameters
        )

    def __str__(self) -> str:
        """For the names of tests: short, and the same in every run."""
        kind = self.content.partition("/")[0] if self.content.startswith("multipart") else ""
        return " ".join(part for part in (self.api, self.method, self.path, kind) if part)


@cache
def openai() -> tuple[Published, ...]:
    """The published document and, for what it does not know yet, the SDK's types."""
    rows = [row for name in ("openai", "openai_sdk") for row in _rows("openai", name)]
    return _once(rows)


@cache
def aws() -> tuple[Published, ...]:
    """AWS's own service models."""
    return _once(_rows("bedrock", "bedrock"))


@cache
def bedrock() -> tuple[Published, ...]:
    """AWS's own service models, and the OpenAI-compatible API at ``/openai/v1``."""
    below = [_moved(row, "bedrock", "/openai/v1", "") for row in openai() if "?" not in row.path]
    return _once([*aws(), *below])


@cache
def azure_openai() -> tuple[Published, ...]:
    """Below a deployment, and every operation of OpenAI in the two other shapes."""
    moved = [
        _moved(row, "azure", prefix, query)
        for prefix, query in azure.SHAPES.items()
        for row in openai()
        if not row.upgrade and "?" not in row.path
    ]
    return _once([*_rows("azure", "azure"), *moved])


def everything() -> tuple[Published, ...]:
    """Every published operation of every API."""
    return (*openai(), *azure_openai(), *bedrock())


def _rows(api: str, name: str) -> list[Published]:
    told = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))["operations"]
    return [made for row in told for made in _published(api, row)]


def _published(api: str, row: dict[str, Any]) -> list[Published]:
    plain = Published(
        api=api,
        id=row["id"],
        method=row["method"],
        path=row["path"],
        parameters=tuple((where, name, role) for where, name, role in row.get("parameters", ())),
        streams=tuple(row.get("stream", ())),
        json_parts=frozenset(row.get("json_parts", ())),
        upgrade=row.get("upgrade", False),
    )
    made = []
    for content in row.get("content", ()):
        models = {
            place: bodies[content]
            for place, bodies in row.get("models", {}).items()
            if content in bodies
        }
        references = {
            place: (kind, bodies[content])
            for place, (kind, bodies) in row.get("references", {}).items()
            if content in bodies
        }
        body = row.get("body", {}).get(content)
        made.append(
            replace(plain, content=content, body=body, models=models, references=references)
        )
    return made or [plain]


def _moved(row: Published, api: str, prefix: str, query: str) -> Published:
    path = prefix + row.path.removeprefix("/v1")
    mark = "&" if "?" in path else "?"
    return replace(row, api=api, path=path + (mark + query if query else ""))


def _once(rows: list[Published]) -> tuple[Published, ...]:
    """Rows of two sources that are one operation, joined; the first source's parameters hold."""
    made: dict[tuple[str, str, str, bool], Published] = {}
    for row in rows:
        key = row.method, _bare(row.path), row.content, row.upgrade
        known = made.get(key)
        made[key] = row if known is None else _joined(known, row)
    bodies = {key[:2] for key in made if key[2]}
    return tuple(row for key, row in made.items() if key[2] or key[3] or key[:2] not in bodies)


def _joined(one: Published, other: Published) -> Published:
    return replace(
        one,
        models=other.models | one.models,
        references=other.references | one.references,
        streams=tuple(sorted({*one.streams, *other.streams})),
    )


def _bare(path: str) -> str:
    """The path without the names of its parameters, which two documents may choose differently."""
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
