"""Reads the answers from an Inspect log, if it is the whole log of exactly one plan."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.durable.files import read_bounded
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.grading import COMPLETE, SHOWN
from sidecar.evaluation.runner.plan import SERVICE, Plan
from sidecar.evaluation.tool_calls import UNREADABLE, ToolCall, canonical, read_arguments
from sidecar.formats.amounts import amount

MAX_LOG_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """One answer: its text, why it ended, and the tools it calls."""

    output_text: str
    finish_reason: str
    output_tools: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerLog:
    """The answers of one run.

    Attributes:
        answers: Case id → answer, in the order of the plan; one for each case.
        digest: SHA-256 of the log.
        runner: Inspect with its version.
        input_tokens: Of all answers, those from the provider's cache included.
        output_tokens: Of all answers, those of hidden reasoning included.
        seconds: That the answers took together; several are under way at a time.
    """

    answers: Mapping[str, ModelAnswer]
    digest: str
    runner: str
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0


def read_log(path: Path, plan: Plan) -> AnswerLog:
    """Read a log.

    Inspect averages over the samples that it has, keeps samples of earlier runs, and turns a
    provider's refusal into an answer. So nothing it computed is used, and every sample must be one
    that the plan asked for, in these words.

    Raises:
        EvaluationError: The log is of another plan, incomplete, or malformed.
    """
    data = read_bounded(path, MAX_LOG_BYTES)
    try:
        return _read(json.loads(data), hashlib.sha256(data).hexdigest(), plan)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise EvaluationError(f"{path}: not an Inspect log of this run: {error!r}") from error


def check_ended(what: str, log: AnswerLog) -> None:
    """Require that the model ended every answer itself.

    Raises:
        EvaluationError: One was cut off, or filtered by the provider; names the cases.
    """
    cut = [
        f"{name} ({answer.finish_reason})"
        for name, answer in log.answers.items()
        if answer.finish_reason not in COMPLETE
    ]
    if cut:
        raise EvaluationError(
            f"{what}: {amount(len(cut), 'answer was', 'answers were')} not ended by the model:"
            f" {', '.join(cut[:SHOWN])}; an answer that was cut off or filtered is not an answer,"
            " and is asked for again only with --restart"
        )


def _read(log: Mapping[str, Any], digest: str, plan: Plan) -> AnswerLog:
    spec = log["eval"]
    expected = f"{SERVICE}/{plan.model}"
    if spec["model"] != expected:
        raise EvaluationError(f"the log is of the model {spec['model']}, not {expected}")
    if log["status"] != "success" or log.get("invalidated"):
        raise EvaluationError(f"the log's status is {log['status']}, not success")
    config = spec["config"]
    if config.get("limit") is not None or config.get("epochs") not in {None, 1}:
        raise EvaluationError("the log is of a part of the cases, or of several passes")
    if (spec["model_generate_config"].get("extra_body") or {}) != dict(plan.offered):
        raise EvaluationError("the log's requests offered other tools")
    samples = log["samples"]
    if len(samples) != len(plan.samples):
        raise EvaluationError(f"the log holds {len(samples)} of {len(plan.samples)} cases")
    answers: dict[str, ModelAnswer] = {}
    for sample in samples:
        name = str(sample["id"])
        if name not in plan.samples or name in answers:
            raise EvaluationError(f"the log holds a case {name} that was not asked, or twice")
        answers[name] = _answer(name, sample, plan)
    version = spec["packages"]["inspect_ai"]
    ordered = {name: answers[name] for name in plan.samples}
    used = [each for sample in samples for each in (sample.get("model_usage") or {}).values()]
    return AnswerLog(
        ordered,
        digest,
        f"inspect_ai {version}",
        sum(each.get(name) or 0 for each in used for name in _INPUT_TOKENS),
        sum(each["output_tokens"] for each in used),
        sum(sample.get("working_time") or 0.0 for sample in samples),
    )


_INPUT_TOKENS = ("input_tokens", "input_tokens_cache_read", "input_tokens_cache_write")
"""Inspect counts tokens that the provider's cache served, or took up, apart from the others."""


def _answer(name: str, sample: Mapping[str, Any], plan: Plan) -> ModelAnswer:
    if sample.get("error"):
        raise EvaluationError(f"case {name} ended with an error")
    asked = [_logged(message) for message in sample["input"]]
    if asked != [_planned(message) for message in plan.samples[name]]:
        raise EvaluationError(f"the log's case {name} asked something else")
    (choice,) = sample["output"]["choices"]
    message = choice["message"]
    calls = tuple(ToolCall(*each) for each in _calls(message))
    return ModelAnswer(_text(message["content"]), choice["stop_reason"], calls)


Asked = tuple[str, str, str | None, list[tuple[str, str]]]
"""Role, text, id of the call that a tool's result answers, and calls as (name, arguments)."""


def _logged(message: Mapping[str, Any]) -> Asked:
    """Return a message of a log in a form in which it can be compared."""
    text = _text(message["content"])
    return message["role"], text, message.get("tool_call_id"), _calls(message)


def _planned(message: Mapping[str, Any]) -> Asked:
    """Return a message of a plan in the same form."""
    functions = [each["function"] for each in message.get("tool_calls", ())]
    calls = [(each["name"], read_arguments(each["arguments"])) for each in functions]
    return message["role"], message["content"], message.get("tool_call_id"), calls


def _calls(message: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the calls in a message of a log; Inspect leaves out arguments that it cannot parse."""
    return [
        (
            call["function"],
            UNREADABLE if call.get("parse_error") else canonical(call["arguments"]),
        )
        for call in message.get("tool_calls") or ()
    ]


def _text(content: Any) -> str:  # noqa: ANN401 - a text, or a list of parts
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")
