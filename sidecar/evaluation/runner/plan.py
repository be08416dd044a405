"""The plan of one run: what is put to which model, over which route, within which bounds.

A plan has a folder of its own, named by the digest of everything that decides the answers: the
manifest, the suite, the model and the messages. So a changed suite, or another manifest of the same
model, never meets the answers of an earlier run, which Inspect would take for its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import rfc8785
from pydantic import BaseModel, ConfigDict, ValidationError

from sidecar.core.sandbox import MANIFEST_HEADER
from sidecar.core.wire import first_fault
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.suite import Case, SuiteFolder
from sidecar.evaluation.tool_calls import UNREADABLE, read_arguments

SERVICE = "openai-api/gateway"
"""How Inspect names the gateway; its logs prefix the model with it."""


@dataclass(frozen=True, slots=True)
class Route:
    """The route to a model, and the credential for it.

    Attributes:
        url: Base URL of an OpenAI-compatible API, such as ``https://sandbox.example/v1``.
        credential_file: File with a JWT-SVID, read for each request; ``None`` for mutual TLS.
        credential_header: The header that carries it.
        ca: PEM roots of the gateway's certificate; the system's if ``None``.
        certificate: X.509-SVID (PEM), for mutual TLS.
        key: Its private key (PEM).
        sandbox: Whether every answer must state the manifest that it was admitted under.
    """

    url: str
    credential_file: Path | None = None
    credential_header: str = "x-environment-credential"
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    sandbox: bool = True

    def __post_init__(self) -> None:
        """Refuse a URL that holds a secret: the plan and the log have it in clear."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise EvaluationError(f"{self.url}: not an http:// or https:// URL")
        if parts.username is not None or parts.password is not None or parts.query:
            raise EvaluationError("a URL with a user, a password or a query is written to logs")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How hard a run tries.

    Attributes:
        connections: Requests in flight at once.
        retries: Further attempts of one request, after a 429, a 5xx or a time-out.
        attempts: Times the whole suite is gone through for what still has no answer.
        seconds: Time-out of one attempt of one request.
        reuse: How long after a run began its answers are used again; later, all is asked again.
    """

    connections: int = 8
    retries: int = 5
    attempts: int = 2
    seconds: int = 120
    reuse: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes:
        task: Name in the log: the suite's, with its jurisdiction, or the judge's.
        manifest: Digest of the manifest.
        suite: Digest of the suite.
        model: As the route names it.
        samples: Case id → messages in the API's shape, in the order of the suite.
        generation: Settings of each request.
        offered: ``tools`` and ``tool_choice`` of each request, as they are sent.
    """

    task: str
    manifest: str
    suite: str
    model: str
    samples: Mapping[str, tuple[Mapping[str, Any], ...]]
    generation: Mapping[str, float | int] = field(default_factory=dict)
    offered: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of everything that decides the answers, in hex."""
        whole: dict[str, Any] = {
            "task": self.task,
            "manifest": self.manifest,
            "suite": self.suite,
            "model": self.model,
            "samples": [
                {"id": name, "messages": [dict(each) for each in asked]}
                for name, asked in self.samples.items()
            ],
            "generation": dict(self.generation),
            "offered": dict(self.offered),
        }
        return hashlib.sha256(rfc8785.dumps(whole)).hexdigest()

    def folder(self, runs: Path) -> Path:
        """Return the run's folder, below ``runs``; it need not exist."""
        return runs / f"{self.manifest[:16]}-{self.suite[:16]}-{self.digest[:16]}"

    def write(self, folder: Path, route: Route, bounds: Bounds) -> bytes:
        """Return what the child reads. It holds no secret: credentials are named by their files."""

        def path(value: Path | None) -> str | None:
            return None if value is None else str(value.absolute())

        return json.dumps(
            {
                "task": self.task,
                "model": self.model,
                "base_url": route.url.rstrip("/"),
                "folder": str(folder.absolute()),
                "credential": {
                    "header": route.credential_header,
                    "file": path(route.credential_file),
                },
                "tls": {
                    "ca": path(route.ca),
                    "certificate": path(route.certificate),
                    "key": path(route.key),
                },
                "generation": dict(self.generation),
                "offered": dict(self.offered),
                "manifest_header": MANIFEST_HEADER,
                "manifest": self.manifest if route.sandbox else None,
                "max_connections": bounds.connections,
                "max_retries": bounds.retries,
                "attempts": bounds.attempts,
                "timeout_seconds": bounds.seconds,
                "samples": [
                    {"id": name, "ask": list(map(dict, asked))}
                    for name, asked in self.samples.items()
                ],
            },
            indent=1,
        ).encode()


def suite_plan(suite: SuiteFolder, manifest: str, model: str) -> Plan:
    """Return the plan of a suite: each case's input, after the suite's system prompt.

    Raises:
        EvaluationError: An input is neither a text nor a list of messages; names the case.
    """
    # Two jurisdictions may have suites of the same cases, each with a run and a record of its own.
    return Plan(
        f"{suite.name} {suite.jurisdiction}" if suite.jurisdiction else suite.name,
        manifest,
        suite.digest,
        model,
        {case.id: _messages(suite, case) for case in suite.cases},
        suite.generation,
        suite.offered,
    )


def _messages(suite: SuiteFolder, case: Case) -> tuple[Mapping[str, Any], ...]:
    first = [{"role": "system", "content": suite.solver}] if suite.solver else []
    given = case.fields["input"]
    if isinstance(given, str):
        return (*first, {"role": "user", "content": given})
    if not isinstance(given, list) or not given:
        raise EvaluationError(f"case {case.id}: input is neither a text nor a list of messages")
    return (*first, *(_message(f"case {case.id}: input.{n}", m) for n, m in enumerate(given)))


class _Function(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    name: str
    arguments: str


class _Call(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    id: str
    type: Literal["function"]
    function: _Function


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    role: Literal["assistant", "system", "tool", "user"]
    content: str
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None


def _message(where: str, value: object) -> Mapping[str, Any]:
    """Parse a message of a conversation before the answer that is asked for."""
    try:
        read = _Message.model_validate(value)
    except ValidationError as error:
        raise EvaluationError(
            f"{where} is not a message with a role (system, user, assistant or tool) and a text as"
            f" content: {first_fault(error)}"
        ) from error
    if (read.role == "tool") != (read.tool_call_id is not None):
        raise EvaluationError(f"{where}: a message has a tool_call_id if its role is tool")
    if read.tool_calls is not None and read.role != "assistant":
        raise EvaluationError(f"{where}: only a message of the assistant has tool_calls")
    for call in read.tool_calls or ():
        if read_arguments(call.function.arguments) == UNREADABLE:
            raise EvaluationError(f"{where}: the arguments of {call.id} are no JSON object")
    return read.model_dump(exclude_none=True)
