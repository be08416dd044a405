"""Parses graders in the JSON shape of OpenAI's API, and applies those that need no model.

A grader maps an answer to a score from 0 to 1. ``string_check`` and ``text_similarity`` compare
texts. ``label_model`` and ``score_model`` put a question to a judge model; whoever ran the suite
supplies what the judge answered, and it is checked here. ``multi`` combines others by a formula.
``python`` graders run code and are refused.

Source: the "Graders" guide and the ``/v1/fine_tuning/alpha/graders`` operations of OpenAI's API.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from sidecar.core.wire import first_fault
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.formula import Formula, parse_formula
from sidecar.evaluation.similarity import fuzzy_match
from sidecar.evaluation.templates import Answer, check_templates, fill, names_pair

_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(?:\.[0-9]{1,12})?\Z")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class StringCheck:
    """Compares two texts: ``eq``, ``ne``, ``like`` (contains), ``ilike`` (without case)."""

    name: str
    input: str
    reference: str
    operation: str

    def score(self, answer: Answer) -> float:
        """Return 1 where the comparison holds, else 0."""
        text, reference = fill(self.input, answer), fill(self.reference, answer)
        match self.operation:
            case "eq":
                holds = text == reference
            case "ne":
                holds = text != reference
            case "like":
                holds = reference in text
            case _:
                holds = reference.casefold() in text.casefold()
        return float(holds)


@dataclass(frozen=True, slots=True)
class TextSimilarity:
    """Compares two texts by ``fuzzy_match``."""

    name: str
    input: str
    reference: str

    def score(self, answer: Answer) -> float:
        """Return the similarity, from 0 to 1."""
        return fuzzy_match(fill(self.input, answer), fill(self.reference, answer))


@dataclass(frozen=True, slots=True)
class Message:
    """A message to a judge; its text has the same placeholders as other templates."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class LabelModel:
    """A judge that answers with one of some labels, of which some pass."""

    name: str
    model: str
    labels: tuple[str, ...]
    passing_labels: tuple[str, ...]
    prompt: tuple[Message, ...] = ()

    def form(self) -> str:
        """Return the instruction to the judge about the form of its answer."""
        labels = ", ".join(self.labels)
        return f"Answer with exactly one of these labels and nothing else: {labels}"

    def parse(self, text: str) -> str | float:
        """Parse a judge's answer: a label, whatever its case and the marks around it.

        What is no label stays as it is, and is refused by ``score``: an answer with a word more
        could mean the opposite.
        """
        given = text.strip()
        plain = given.strip("\"'`*.").casefold()
        same = [label for label in self.labels if label.casefold() == plain]
        return same[0] if given not in self.labels and len(same) == 1 else given

    def score(self, answer: Answer) -> float:
        """Return 1 where the judge's label passes, else 0."""
        label = _judged(self.name, answer)
        if label not in self.labels:
            raise EvaluationError(
                f"grader {self.name}: the judge answered {label!r}, which is none of its labels: "
                + ", ".join(self.labels)
            )
        return float(label in self.passing_labels)


@dataclass(frozen=True, slots=True)
class ScoreModel:
    """A judge that answers with a number in a range."""

    name: str
    model: str
    low: float
    high: float
    prompt: tuple[Message, ...] = ()
    sampling: Mapping[str, float | int] = field(default_factory=dict)

    def form(self) -> str:
        """Return the instruction to the judge about the form of its answer."""
        return f"Answer with one number from {self.low:g} to {self.high:g} and nothing else."

    def parse(self, text: str) -> str | float:
        """Parse a judge's answer; what is not a number stays a text, which ``score`` refuses."""
        plain = text.strip()
        return float(plain) if _NUMBER.match(plain) else plain

    def score(self, answer: Answer) -> float:
        """Return the judge's score, mapped from its range to 0 … 1."""
        value = _judged(self.name, answer)
        if isinstance(value, str) or not self.low <= value <= self.high:
            raise EvaluationError(
                f"grader {self.name}: the judge answered {value!r}, which is not a number from "
                f"{self.low:g} to {self.high:g}"
            )
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class MultiGrader:
    """Combines other graders by a formula; a result beyond 0 … 1 is an error."""

    name: str
    graders: tuple[tuple[str, Grader], ...]
    formula: Formula

    def score(self, answer: Answer) -> float:
        """Return the formula's value."""
        value = self.formula.evaluate({key: each.score(answer) for key, each in self.graders})
        if not 0 <= value <= 1:
            raise EvaluationError(
                f"grader {self.name}: {self.formula.text!r} gives {value:g}, not 0 to 1"
            )
        return value


Grader = StringCheck | TextSimilarity | LabelModel | ScoreModel | MultiGrader


def judges(grader: Grader) -> Iterator[LabelModel | ScoreModel]:
    """Yield the model graders in a grader, itself included."""
    if isinstance(grader, LabelModel | ScoreModel):
        yield grader
    elif isinstance(grader, MultiGrader):
        for _, each in grader.graders:
            yield from judges(each)


def compares_pairs(grader: Grader) -> bool:
    """Return whether a grader, or one in it, compares with the answer to the paired case."""
    match grader:
        case MultiGrader():
            return any(compares_pairs(each) for _, each in grader.graders)
        case LabelModel() | ScoreModel():
            return any(names_pair(each.text) for each in grader.prompt)
        case _:
            return names_pair(grader.input) or names_pair(grader.reference)


def judge_messages(judge: LabelModel | ScoreModel, answer: Answer) -> list[dict[str, str]]:
    """Return what a judge is asked about one answer, as messages of a chat.

    Raises:
        EvaluationError: The grader has no prompt, or the case lacks a field that it names.
    """
    if not judge.prompt:
        raise EvaluationError(f"grader {judge.name}: input has no message for the judge")
    asked = [{"role": m.role, "content": fill(m.text, answer)} for m in judge.prompt]
    return [{"role": "system", "content": judge.form()}, *asked]


class _Content(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    type: Literal["input_text", "text"]
    text: str


class _Message(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")
    role: Literal["assistant", "developer", "system", "user"]
    content: str | _Content | list[_Content]


class _Sampling(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None


class _Named(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    type: str
    name: str


class _StringCheck(_Named):
    input: str
    reference: str
    operation: Literal["eq", "ne", "like", "ilike"]


class _TextSimilarity(_Named):
    input: str
    reference: str
    evaluation_metric: Literal["fuzzy_match"]


class _LabelModel(_Named):
    model: str
    input: list[_Message]
    labels: list[str]
    passing_labels: list[str]


class _ScoreModel(_Named):
    model: str
    input: list[_Message]
    range: tuple[float, float] = (0.0, 1.0)
    sampling_params: _Sampling = _Sampling()


class _Multi(_Named):
    graders: dict[str, Any] | list[Any]
    calculate_output: str


def parse_grader(value: Mapping[str, Any], *, where: str) -> Grader:
    """Parse a grader.

    Args:
        value: The JSON object.
        where: Named in errors.

    Raises:
        EvaluationError: Not a grader of a kind that is understood; names the field.
    """
    kind = value.get("type")
    where = f"{where}: grader {value.get('name') or kind}"
    try:
        match kind:
            case "string_check":
                check = _StringCheck.model_validate(dict(value))
                check_templates(where, check.input, check.reference)
                return StringCheck(check.name, check.input, check.reference, check.operation)
            case "text_similarity":
                text = _TextSimilarity.model_validate(dict(value))
                check_templates(where, text.input, text.reference)
                return TextSimilarity(text.name, text.input, text.reference)
            case "label_model":
                return _label_model(_LabelModel.model_validate(dict(value)), where)
            case "score_model":
                return _score_model(value, where)
            case "multi":
                return _multi(_Multi.model_validate(dict(value)), where)
    except ValidationError as error:
        raise EvaluationError(f"{where}: {first_fault(error)}") from error
    hint = "; graders that run code are not taken" if kind == "python" else ""
    raise EvaluationError(
        f"{where}: type {kind!r} is none of string_check, text_similarity, label_model, "
        f"score_model, multi{hint}"
    )


def _label_model(read: _LabelModel, where: str) -> LabelModel:
    labels, passing = tuple(read.labels), tuple(read.passing_labels)
    if len(set(labels)) != len(labels) or not set(passing) < set(labels) or not passing:
        raise EvaluationError(
            f"{where}: labels must differ, and passing_labels must be some but not all of them"
        )
    return LabelModel(read.name, read.model, labels, passing, _prompt(read.input, where))


def _prompt(messages: list[_Message], where: str) -> tuple[Message, ...]:
    found = []
    for each in messages:
        parts = each.content if isinstance(each.content, list) else [each.content]
        text = "\n".join(part if isinstance(part, str) else part.text for part in parts)
        check_templates(where, text)
        # `developer` is the newer name; servers of open weights know `system` alone.
        found.append(Message("system" if each.role == "developer" else each.role, text))
    return tuple(found)


def _score_model(value: Mapping[str, Any], where: str) -> ScoreModel:
    # A JSON array becomes the pair that strict validation asks for.
    given = dict(value)
    if isinstance(given.get("range"), list):
        given["range"] = tuple(given["range"])
    read = _ScoreModel.model_validate(given)
    low, high = read.range
    if not low < high:
        raise EvaluationError(f"{where}: range [{low:g}, {high:g}] is empty")
    sampling = read.sampling_params.model_dump(exclude_none=True)
    return ScoreModel(read.name, read.model, low, high, _prompt(read.input, where), sampling)


def _multi(read: _Multi, where: str) -> MultiGrader:
    members = _members(read.graders, where)
    parsed: list[tuple[str, Grader]] = []
    for key, value in members.items():
        if not isinstance(value, dict):
            raise EvaluationError(f"{where}: graders.{key}: not an object")
        if value.get("type") == "multi":
            raise EvaluationError(f"{where}: graders.{key}: a multi-grader in another one")
        parsed.append((key, parse_grader(value, where=where)))
    formula = parse_formula(read.calculate_output, where=f"{where}: calculate_output")
    unknown = sorted(formula.names - set(members))
    if unknown or not formula.names:
        raise EvaluationError(
            f"{where}: calculate_output names {', '.join(unknown) or 'no grader'}; "
            f"the graders are {', '.join(members)}"
        )
    return MultiGrader(read.name, tuple(parsed), formula)


def _members(graders: dict[str, Any] | list[Any], where: str) -> dict[str, Any]:
    """Return the members by name: of one grader, of a list, or of a map."""
    if isinstance(graders, dict):
        single = isinstance(graders.get("type"), str)
        members = {str(graders.get("name")): graders} if single else graders
    else:
        members = dict[str, Any]()
        for each in graders:
            name = each.get("name") if isinstance(each, dict) else None
            if not isinstance(name, str) or name in members:
                raise EvaluationError(f"{where}: graders: names must be there and differ")
            members[name] = each
    odd = [name for name in members if not _IDENTIFIER.match(name)]
    if odd or not members:
        raise EvaluationError(f"{where}: graders: {odd or 'none'}; a formula needs plain names")
    return members


def _judged(name: str, answer: Answer) -> str | float:
    if name not in answer.judged:
        raise EvaluationError(f"grader {name}: no answer of its judge is given (judged.{name})")
    return answer.judged[name]
