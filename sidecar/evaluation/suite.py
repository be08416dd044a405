"""Reads an evaluation suite from its folder, and computes the digest that a manifest declares.

    suite.yaml    name, kind, jurisdiction?, threshold, grader, generation?, tools?, tool_choice?,
                  description?
    cases.jsonl   one case a line: {id, input, reference?, pair?, …}
    solver.txt    the system prompt that precedes each case; optional

The digest is the SHA-256 of the RFC 8785 canonical JSON of ``{cases, generation, grader, solver,
threshold}``, and of ``tools`` and ``tool_choice`` where there are any: of everything that decides a
score, and of nothing else. So a description may be mended after a manifest declared the suite; a
case, a prompt or a threshold may not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import rfc8785
from pydantic import BaseModel, ConfigDict, ValidationError

from sidecar.core import strict_json
from sidecar.durable.files import read_bounded
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.graders import Grader, compares_pairs, parse_grader
from sidecar.evaluation.templates import PAIR
from sidecar.evaluation.tool_calls import check_tools
from sidecar.formats import faults
from sidecar.formats.config_file import ConfigFileError, load_yaml

SUITE_FILE = "suite.yaml"
CASES_FILE = "cases.jsonl"
SOLVER_FILE = "solver.txt"

MAX_SUITE_BYTES = 1 << 20
MAX_CASES_BYTES = 256 << 20
MAX_CASE_BYTES = 4 << 20


class _Generation(BaseModel):
    """What is sent with each request; a setting that is absent is the provider's default."""

    model_config = ConfigDict(strict=True, extra="forbid")

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None


class _Header(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: str
    kind: Literal["adversarial", "regression", "compliance"]
    threshold: float
    grader: dict[str, Any]
    jurisdiction: str | None = None
    generation: _Generation = _Generation()
    tools: list[dict[str, Any]] | None = None
    tool_choice: Literal["auto", "none", "required"] | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One case: its id, unique in the suite, and all its fields (``input`` is one of them)."""

    id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SuiteFolder:
    """A suite as its folder holds it.

    Attributes:
        name: As manifests and results name it.
        kind: ``adversarial``, ``regression`` or ``compliance``.
        threshold: The lowest score that passes, from 0 to 1.
        jurisdiction: For a compliance suite, of which one; ``None`` for the others.
        description: For people; not part of the digest.
        cases: At least one.
        grader: What scores an answer.
        solver: The system prompt; empty for none.
        generation: Settings that are sent with each request.
        offered: ``tools`` and ``tool_choice`` that are sent with each request; empty for none.
        digest: SHA-256, lower-case hex.
    """

    name: str
    kind: str
    threshold: float
    jurisdiction: str | None
    description: str
    cases: tuple[Case, ...]
    grader: Grader
    solver: str
    generation: Mapping[str, float | int]
    offered: Mapping[str, Any]
    digest: str

    def declaration(self) -> dict[str, Any]:
        """Return the suite as an evaluation envelope declares it."""
        declared: dict[str, Any] = {"kind": self.kind}
        if self.jurisdiction is not None:
            declared["jurisdiction"] = self.jurisdiction
        declared |= {"name": self.name, "threshold": self.threshold, "digest": self.digest}
        return declared


def read_suite(folder: Path) -> SuiteFolder:
    """Read and check a suite.

    Raises:
        EvaluationError: A file is missing, malformed or too large; names the file, the line and
            the field.
    """
    header = _header(folder / SUITE_FILE)
    cases = tuple(_cases(folder / CASES_FILE))
    if not cases:
        raise EvaluationError(f"{folder / CASES_FILE}: no case; a suite has at least one")
    grader = parse_grader(header.grader, where=str(folder / SUITE_FILE))
    solver_path = folder / SOLVER_FILE
    solver = _text(solver_path, MAX_SUITE_BYTES) if solver_path.exists() else ""
    generation = header.generation.model_dump(exclude_none=True)
    if compares_pairs(grader):
        _check_pairs(folder / CASES_FILE, cases)
    return SuiteFolder(
        name=header.name,
        kind=header.kind,
        threshold=header.threshold,
        jurisdiction=header.jurisdiction,
        description=header.description,
        cases=cases,
        grader=grader,
        solver=solver,
        generation=generation,
        offered=_offered(header),
        digest=_digest(folder, cases, header, solver, generation),
    )


def _digest(
    folder: Path,
    cases: Iterable[Case],
    header: _Header,
    solver: str,
    generation: Mapping[str, Any],
) -> str:
    whole: Any = {
        "cases": [dict(case.fields) for case in cases],
        "generation": dict(generation),
        "grader": header.grader,
        "solver": solver,
        "threshold": header.threshold,
    } | _offered(header)
    try:
        return hashlib.sha256(rfc8785.dumps(whole)).hexdigest()
    except rfc8785.CanonicalizationError as error:
        raise EvaluationError(f"{folder}: has no canonical JSON (RFC 8785): {error}") from error


def _offered(header: _Header) -> dict[str, Any]:
    chosen = {"tool_choice": header.tool_choice} if header.tool_choice else {}
    return {"tools": header.tools, **chosen} if header.tools else {}


def _check_pairs(path: Path, cases: tuple[Case, ...]) -> None:
    """Require that each case names another one, as the grader compares the two answers."""
    known = {case.id for case in cases}
    for case in cases:
        other = case.fields.get(PAIR)
        if other not in known or other == case.id:
            raise EvaluationError(
                f"{path}: case {case.id}: {PAIR} is {other!r}, not the id of another case; the"
                " grader compares the answers to both"
            )


def _header(path: Path) -> _Header:
    try:
        header = _Header.model_validate(load_yaml(_text(path, MAX_SUITE_BYTES)))
    except ConfigFileError as error:
        raise EvaluationError(f"{path}: {error}") from error
    except ValidationError as error:
        raise EvaluationError(f"{path}: {faults.fault(error, _Header)}") from error
    if not header.name:
        raise EvaluationError(f"{path}: name is empty")
    if not 0 <= header.threshold <= 1:
        raise EvaluationError(f"{path}: threshold {header.threshold:g} is not between 0 and 1")
    if (header.kind == "compliance") != (header.jurisdiction is not None):
        raise EvaluationError(
            f"{path}: a compliance suite names its jurisdiction, and no other suite names one"
        )
    check_tools(header.tools or (), where=str(path))
    if header.tool_choice is not None and not header.tools:
        raise EvaluationError(f"{path}: tool_choice without tools")
    return header


def _cases(path: Path) -> Iterable[Case]:
    seen: dict[str, int] = {}
    for number, line in enumerate(_text(path, MAX_CASES_BYTES).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}: line {number}"
        try:
            fields = strict_json.loads_object(line.encode(), max_bytes=MAX_CASE_BYTES)
        except strict_json.StrictJsonError as error:
            raise EvaluationError(f"{where}: {error}") from error
        identifier = fields.get("id")
        if not isinstance(identifier, str) or not identifier:
            raise EvaluationError(f"{where}: id must be a text that is not empty")
        if identifier in seen:
            raise EvaluationError(f"{where}: id {identifier!r} is that of line {seen[identifier]}")
        seen[identifier] = number
        if "input" not in fields:
            raise EvaluationError(f"{where}: has no input")
        yield Case(identifier, fields)


def _text(path: Path, max_bytes: int) -> str:
    try:
        return read_bounded(path, max_bytes).decode("utf-8")
    except OSError as error:
        raise EvaluationError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path}: not UTF-8 at byte {error.start}") from error
