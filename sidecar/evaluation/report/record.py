"""Reads the records that runs leave, and puts those of one manifest together with its results."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from sidecar.core.predicates import Manifest, Suite
from sidecar.evaluation.errors import EvaluationError
from sidecar.formats.json_model import JsonModelError, read_json

MAX_RECORD_BYTES = 1 << 30
MAX_EXCERPT = 80
"""Characters of what a case asks, beside its id."""

SuiteKey = tuple[str, str, str | None, str]
"""Kind, name, jurisdiction and digest: two suites may be of the same cases."""


class _Called(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: str
    arguments: str


def _turn(message: dict[str, Any]) -> str:
    calls = [each["function"] for each in message.get("tool_calls", ())]
    called = "".join(f" → {each['name']}({each['arguments']})" for each in calls)
    return f"{message['role']}: {message['content']}{called}"


class _Case(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    id: str
    score: float
    input: str | list[dict[str, Any]]
    reference: Any = None
    output: str
    judged: dict[str, str | float] = {}
    calls: list[_Called] = []

    @property
    def asked(self) -> str:
        """What the model was asked: a text, or each message of a conversation with its role."""
        if not isinstance(self.input, list):
            return str(self.input)
        return "\n".join(_turn(each) for each in self.input)

    @property
    def excerpt(self) -> str:
        """The begin of what a user asked last, on one line."""
        turns = self.input if isinstance(self.input, list) else []
        users = [each["content"] for each in turns if each.get("role") == "user"]
        line = " ".join(str(users[-1] if users else self.asked).split())
        return line if len(line) <= MAX_EXCERPT else f"{line[:MAX_EXCERPT]} …"

    @property
    def answer(self) -> str:
        """The text of the answer, and after it the tool calls, each on a line."""
        lines = [f"→ {call.name}({call.arguments})" for call in self.calls]
        return "\n".join(([self.output] if self.output else []) + lines)


class ModelUsage(BaseModel):
    """What the answers of one model took: of the evaluated model, or of a judge.

    ``cost`` is in the currency of the prices that were given; ``None`` without one. ``seconds`` are
    the sum over answers, of which several are under way at a time.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    model: str
    judge: bool
    input_tokens: int
    output_tokens: int
    seconds: float
    cost: float | None = None


def total_cost(used: Iterable[ModelUsage]) -> dict[str, float] | None:
    """Return the cost of the model and of all judges; ``None`` unless every price is known."""
    total = {"model": 0.0, "judges": 0.0}
    each = None
    for each in used:
        if each.cost is None:
            return None
        total["judges" if each.judge else "model"] += each.cost
    return None if each is None else {name: round(cost, 6) for name, cost in total.items()}


class SuiteRecord(BaseModel):
    """What a run left of one suite (``runner.evaluate.Evaluated.record``)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: str
    kind: str
    jurisdiction: str | None = None
    digest: str
    score: float
    samples: int
    low: float
    high: float
    tool: str
    report: str = ""
    performed: str = ""
    threshold: float
    passed: bool
    manifest: str
    model: str
    called: str = ""
    used: list[ModelUsage] = []
    cases: list[_Case]

    @property
    def label(self) -> str:
        """The suite's name, with the jurisdiction of a compliance suite."""
        return f"{self.name} ({self.jurisdiction})" if self.jurisdiction else self.name

    @property
    def key(self) -> SuiteKey:
        """What identifies the suite in an envelope."""
        return self.kind, self.name, self.jurisdiction, self.digest

    @property
    def failing(self) -> list[_Case]:
        """Cases that score below 1, the worst first."""
        return sorted((c for c in self.cases if c.score < 1), key=lambda c: (c.score, c.id))


@dataclass(frozen=True, slots=True)
class Signature:
    """A signed result about the manifest.

    Attributes:
        digest: Of the result.
        outcome: ``PASSED`` or ``FAILED``.
        signer: Fingerprint of the key that it was verified by; empty where none was given.
        suites: Each suite that it is about → its score.
        until: When it ends.
    """

    digest: str
    outcome: str
    signer: str
    suites: dict[SuiteKey, float]
    until: datetime


@dataclass(frozen=True, slots=True)
class Report:
    """The evaluation of one manifest.

    Attributes:
        model: Id of the model.
        manifest: Digest of the manifest.
        declared: Its envelope.
        records: Of the suites that were run, in the order of the envelope.
        signatures: Results about it.
        earlier: Records of another manifest, the parent's or the superseded one's, to compare with.
        at: When the report was made.
        parent: Digest of the manifest of the model that it was tuned from, if that is adapted.
        supersedes: Digest of the manifest that it supersedes.
        logs: SHA-256 of every log that is in the runs' folders.
    """

    model: str
    manifest: str
    declared: tuple[Suite, ...]
    records: tuple[SuiteRecord, ...]
    signatures: tuple[Signature, ...]
    earlier: tuple[SuiteRecord, ...]
    at: datetime
    parent: str | None = None
    supersedes: str | None = None
    logs: frozenset[str] = frozenset()

    def compared_with(self) -> list[tuple[str, str]]:
        """Return each earlier manifest, with what it is to this one."""
        known = {self.supersedes: "the superseded manifest", self.parent: "the parent's manifest"}
        manifests = sorted({record.manifest for record in self.earlier})
        return [(each, known.get(each, "neither parent nor superseded:")) for each in manifests]

    @property
    def passed(self) -> bool:
        """Whether every declared suite was run and passed."""
        return len(self.records) == len(self.declared) and all(r.passed for r in self.records)

    @property
    def missing(self) -> tuple[Suite, ...]:
        """Declared suites without a record."""
        run = {record.key for record in self.records}
        return tuple(suite for suite in self.declared if suite_key(suite) not in run)

    def cost(self) -> dict[str, float] | None:
        """Return the cost of the model and of all judges; see ``total_cost``."""
        return total_cost(used for record in self.records for used in record.used)

    def before(self, record: SuiteRecord) -> SuiteRecord | None:
        """Return the earlier record of the same suite, whatever its edition; ``None`` if none."""
        same = (record.kind, record.name, record.jurisdiction)
        return next((e for e in self.earlier if (e.kind, e.name, e.jurisdiction) == same), None)

    def signed(self, record: SuiteRecord) -> Signature | None:
        """Return the result that states exactly the record's score; the longest, if several do."""
        about = [s for s in self.signatures if s.suites.get(record.key) == record.score]
        return max(about, key=lambda s: (bool(s.signer), s.until), default=None)


def suite_label(suite: Suite) -> str:
    """Return a declared suite's name, with the jurisdiction of a compliance suite."""
    return f"{suite.name} ({suite.jurisdiction})" if suite.jurisdiction else suite.name


def suite_key(suite: Suite) -> SuiteKey:
    """Return what identifies a declared suite."""
    return suite.kind, suite.name, suite.jurisdiction, suite.digest.sha256


def read_record(data: bytes, what: str) -> SuiteRecord:
    """Read a record.

    Raises:
        EvaluationError: Not a record; names the field.
    """
    try:
        record = read_json(SuiteRecord, data, max_bytes=MAX_RECORD_BYTES)
    except JsonModelError as error:
        raise EvaluationError(f"{what}: {error}") from error
    numbers = (record.score, record.low, record.high, record.threshold)
    if not all(math.isfinite(each) and 0 <= each <= 1 for each in numbers):
        raise EvaluationError(
            f"{what}: a score, an end of its interval or a threshold is not 0 … 1"
        )
    if len(record.cases) != record.samples:
        raise EvaluationError(
            f"{what}: it holds {len(record.cases)} cases and states {record.samples}"
        )
    mean = sum(case.score for case in record.cases) / max(1, len(record.cases))
    if not math.isclose(mean, record.score, abs_tol=1e-9):
        raise EvaluationError(f"{what}: the score {record.score:g} is not the mean of its cases")
    if record.passed != (record.score >= record.threshold):
        raise EvaluationError(
            f"{what}: passed is {record.passed}, which contradicts score and threshold"
        )
    return record


def report(
    manifest: Manifest,
    digest: str,
    records: Iterable[SuiteRecord],
    signatures: Iterable[Signature],
    earlier: Iterable[SuiteRecord],
    at: datetime,
    logs: Iterable[str] = (),
) -> Report:
    """Put a report together.

    Raises:
        EvaluationError: A record is of another manifest, of a suite that is not declared, or one of
            two about one suite.
    """
    suites = manifest.envelope.suites
    order = {suite_key(suite): number for number, suite in enumerate(suites)}
    found: dict[SuiteKey, SuiteRecord] = {}
    for record in records:
        if record.manifest != digest:
            raise EvaluationError(
                f"the record of {record.label} is of the manifest {record.manifest}, not {digest}"
            )
        if record.key not in order:
            raise EvaluationError(f"the manifest does not declare this edition of {record.label}")
        if record.key in found:
            raise EvaluationError(f"two records of {record.label}")
        found[record.key] = record
    ordered = sorted(found.values(), key=lambda record: order[record.key])
    return Report(
        manifest.model.id,
        digest,
        suites,
        tuple(ordered),
        tuple(signatures),
        tuple(earlier),
        at,
        None if manifest.model.parent is None else manifest.model.parent.sha256,
        None if manifest.supersedes is None else manifest.supersedes.sha256,
        frozenset(logs),
    )
