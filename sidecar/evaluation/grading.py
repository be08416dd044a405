"""Scores the answers of a model to every case of a suite.

Theory of operation. Whoever ran the suite hands over one answer for each case, as JSONL:

    {"id": "case-1", "output_text": "…", "finish_reason": "stop", "judged": {"GRADER": "label"},
     "output_tools": [{"type": "function", "function": {"name": "…", "arguments": "{…}"}}]}

A case without an answer, a second answer, an answer that was cut off or filtered: each is an error
and never a score, because what was not answered cannot have passed. An answer with neither text nor
tool call scores 0 whatever the grader, as it would pass every suite of attacks. The score of the
suite is the mean over all cases.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.graders import judges
from sidecar.evaluation.interval import wilson
from sidecar.evaluation.suite import Case, SuiteFolder
from sidecar.evaluation.templates import PAIR, Answer
from sidecar.evaluation.tool_calls import read_calls
from sidecar.formats.json_model import JsonModelError, read_json

MAX_ANSWERS_BYTES = 1 << 30
MAX_LINE_BYTES = 16 << 20
COMPLETE = frozenset({"stop", "tool_calls"})
"""Finish reasons of an answer that the model ended itself."""

GRADER = "admit suite grade"
"""How a result names what graded a suite here; the judge models follow."""

SHOWN = 5
"""How many ids an error lists."""


class _Line(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    id: str
    output_text: str
    finish_reason: str
    judged: dict[str, str | float] = {}
    output_tools: list[Any] = []


@dataclass(frozen=True, slots=True)
class GradedSuite:
    """The score of a suite and of each case.

    Attributes:
        suite: What was graded.
        score: Mean over all cases, 0 to 1.
        low: Lower end of the 95 % interval of ``score``.
        high: Its upper end.
        cases: (case id, score), in the order of the suite.
    """

    suite: SuiteFolder
    score: float
    low: float
    high: float
    cases: tuple[tuple[str, float], ...]

    @property
    def passed(self) -> bool:
        """Return whether the score reaches the suite's threshold."""
        return self.score >= self.suite.threshold

    def row(self, model: str, runner: str = "", report: str = "") -> dict[str, Any]:
        """Return the suite as an entry of a results file (``countersign.read_results``).

        Args:
            model: Id of the model that answered.
            runner: What put the cases to the model, with its version, where known.
            report: SHA-256 of its log.
        """
        declared = self.suite.declaration()
        declared.pop("threshold")
        asked = sorted({f"judge {each.model}" for each in judges(self.suite.grader)})
        tool = ", ".join(([runner] if runner else []) + [GRADER, *asked])
        row = declared | {
            "model": model,
            "score": self.score,
            "samples": len(self.cases),
            "low": self.low,
            "high": self.high,
            "tool": tool,
        }
        return row | {"report": report} if report else row


def grade(suite: SuiteFolder, data: bytes) -> GradedSuite:
    """Score every case of a suite.

    Args:
        suite: The suite.
        data: One answer a line, as the module describes.

    Raises:
        EvaluationError: The answers are malformed, incomplete, cut off or filtered, or a judge's
            answer is missing or out of range; names the case.
    """
    lines = _lines(data)
    _check_complete(suite, lines)
    scores = []
    for case in suite.cases:
        try:
            scores.append((case.id, _score(suite, case, lines)))
        except EvaluationError as error:
            raise EvaluationError(f"case {case.id}: {error}") from error
    mean = sum(score for _, score in scores) / len(scores)
    low, high = wilson(mean, len(scores))
    return GradedSuite(suite, mean, low, high, tuple(scores))


def _score(suite: SuiteFolder, case: Case, lines: Mapping[str, _Line]) -> float:
    line, pair = lines[case.id], lines.get(str(case.fields.get(PAIR)))
    calls = read_calls(line.output_tools, where="output_tools")
    text = None if pair is None else pair.output_text
    answer = Answer(case.fields, line.output_text, line.judged, calls, text)
    score = suite.grader.score(answer)
    return score if calls or not is_silent(line.output_text) else 0.0


def is_silent(text: str) -> bool:
    """Return whether a text has nothing to be seen: only spaces, controls and invisible marks."""
    return all(unicodedata.category(character)[0] in "ZC" for character in text)


def _lines(data: bytes) -> dict[str, _Line]:
    if len(data) > MAX_ANSWERS_BYTES:
        raise EvaluationError(f"answers: larger than {MAX_ANSWERS_BYTES} bytes")
    found: dict[str, _Line] = {}
    for number, text in enumerate(data.split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            line = read_json(_Line, text, max_bytes=MAX_LINE_BYTES)
        except JsonModelError as error:
            raise EvaluationError(f"answers: line {number}: {error}") from error
        if line.id in found:
            raise EvaluationError(f"answers: line {number}: a second answer to case {line.id}")
        found[line.id] = line
    return found


def _check_complete(suite: SuiteFolder, lines: Mapping[str, _Line]) -> None:
    asked = [case.id for case in suite.cases]
    missing = [name for name in asked if name not in lines]
    if missing:
        raise EvaluationError(
            f"answers: {len(missing)} of {len(asked)} cases have no answer: {_some(missing)}"
        )
    foreign = sorted(set(lines) - set(asked))
    if foreign:
        raise EvaluationError(f"answers: not cases of suite {suite.name}: {_some(foreign)}")
    cut = [f"{name} ({lines[name].finish_reason})" for name in asked if not _ended(lines[name])]
    if cut:
        raise EvaluationError(
            f"answers: {len(cut)} were not ended by the model: {_some(cut)}; run these cases "
            "again: an answer that was cut off or filtered is not an answer"
        )


def _ended(line: _Line) -> bool:
    return line.finish_reason in COMPLETE


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
