"""Parses tools that a suite offers, and calls of them, in the shape of OpenAI's chat API.

Arguments are a text in that API. They are compared as RFC 8785 canonical JSON, so that neither the
order of fields nor white space decides a score.

Source: ``tools``, ``tool_choice`` and ``tool_calls`` of ``POST /v1/chat/completions``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, ValidationError

from sidecar.core import strict_json
from sidecar.core.wire import first_fault
from sidecar.evaluation.errors import EvaluationError

MAX_TOOLS = 128
MAX_ARGUMENTS_BYTES = 4 << 20
UNREADABLE = "(not a JSON object)"
"""Stands for arguments that no program could read; no canonical JSON is equal to it."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a function, as a model made it.

    Attributes:
        name: Of the function.
        arguments: Canonical JSON of an object, or ``UNREADABLE``.
    """

    name: str
    arguments: str

    def wire(self) -> dict[str, Any]:
        """Return the call in the API's shape, without its id."""
        return {
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        }


class _Function(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")
    name: str
    arguments: str


class _Call(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")
    type: Literal["function"] = "function"
    function: _Function


class _Offered(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    name: str
    description: str = ""
    parameters: dict[str, Any] = {}
    strict: bool | None = None


class _Tool(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    type: Literal["function"]
    function: _Offered


def canonical(value: object) -> str:
    """Return the canonical JSON of a value.

    Raises:
        EvaluationError: It has none.
    """
    try:
        return rfc8785.dumps(value).decode()  # type: ignore[arg-type]  # any JSON value
    except rfc8785.CanonicalizationError as error:
        raise EvaluationError(f"no canonical JSON (RFC 8785): {error}") from error


def read_arguments(text: str) -> str:
    """Return arguments as canonical JSON; ``UNREADABLE`` unless they are one JSON object.

    An empty text is an empty object: servers send it for a function without parameters.
    """
    try:
        data = (text.strip() or "{}").encode()
        return canonical(strict_json.loads_object(data, max_bytes=MAX_ARGUMENTS_BYTES))
    except (strict_json.StrictJsonError, UnicodeEncodeError, EvaluationError):
        return UNREADABLE


def read_calls(value: Iterable[object], *, where: str) -> tuple[ToolCall, ...]:
    """Parse the ``tool_calls`` of a message.

    Raises:
        EvaluationError: Not calls of functions; names the call and the field.
    """
    found = []
    for number, each in enumerate(value):
        try:
            call = _Call.model_validate(each).function
        except ValidationError as error:
            raise EvaluationError(f"{where}: tool call {number}: {first_fault(error)}") from error
        found.append(ToolCall(call.name, read_arguments(call.arguments)))
    return tuple(found)


def check_tools(tools: Iterable[Mapping[str, Any]], *, where: str) -> None:
    """Require functions with names that differ: hosted tools would reach further than the model.

    Raises:
        EvaluationError: A tool is something else; names it and the field.
    """
    seen: set[str] = set()
    for number, each in enumerate(tools):
        try:
            name = _Tool.model_validate(dict(each)).function.name
        except ValidationError as error:
            raise EvaluationError(f"{where}: tools.{number}: {first_fault(error)}") from error
        if not _NAME.match(name) or name in seen:
            raise EvaluationError(
                f"{where}: tools.{number}: the name {name!r} is not 1 to 64 letters, digits, _ or -"
                " that no other tool has"
            )
        seen.add(name)
    if len(seen) > MAX_TOOLS:
        raise EvaluationError(f"{where}: {len(seen)} tools; the API takes at most {MAX_TOOLS}")


def calls_text(calls: Iterable[ToolCall]) -> str:
    """Return calls as JSON, for a judge and for people."""
    return json.dumps([each.wire() for each in calls], ensure_ascii=False)
