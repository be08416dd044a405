"""A log counts only if it is the whole log of exactly one plan; what Inspect scored never does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.runner.inspect_log import ModelAnswer, read_log
from sidecar.evaluation.runner.plan import Plan, Route
from sidecar.evaluation.tool_calls import UNREADABLE, ToolCall

PLAN = Plan(
    "suite",
    "ab" * 32,
    "cd" * 32,
    "ft:m",
    {name: ({"role": "user", "content": f"question {name}"},) for name in ("one", "two")},
)


def sample(name: str, **changes: Any) -> dict[str, Any]:
    answer = {"content": f"answer {name}", "role": "assistant"}
    return {
        "id": name,
        "epoch": 1,
        "input": [{"role": "user", "content": f"question {name}"}],
        "output": {"choices": [{"message": answer, "stop_reason": "stop"}]},
        "scores": {"anything": {"value": "C"}},
        **changes,
    }


def log() -> dict[str, Any]:
    """A log of the plan, in the form of Inspect 0.3 (its other fields left out)."""
    return {
        "status": "success",
        "invalidated": False,
        "eval": {
            "model": "openai-api/gateway/ft:m",
            "config": {"epochs": 1},
            "model_generate_config": {"max_retries": 3},
            "packages": {"inspect_ai": "0.3.285"},
        },
        "results": {"total_samples": 2, "scores": [{"metrics": {"accuracy": {"value": 1.0}}}]},
        "samples": [sample("two"), sample("one")],
    }


def read(folder: Path, value: Any) -> Any:
    path = folder / "log.json"
    path.write_text(json.dumps(value))
    return read_log(path, PLAN)


def test_the_answers_are_in_the_order_of_the_plan(tmp_path: Path) -> None:
    parts = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "answer two"}]
    value = log()
    value["samples"][0]["output"]["choices"][0]["message"]["content"] = parts
    found = read(tmp_path, value)
    assert list(found.answers.items()) == [
        ("one", ModelAnswer("answer one", "stop")),
        ("two", ModelAnswer("answer two", "stop")),
    ]
    assert found.runner == "inspect_ai 0.3.285"


def test_a_call_whose_arguments_inspect_could_not_parse_has_none(tmp_path: Path) -> None:
    value = log()
    message = value["samples"][0]["output"]["choices"][0]["message"]
    call = {"id": "1", "function": "f", "arguments": {"b": 1, "a": []}, "type": "function"}
    message["tool_calls"] = [call, call | {"arguments": {}, "parse_error": "Expecting value"}]
    assert read(tmp_path, value).answers["two"].output_tools == (
        ToolCall("f", '{"a":[],"b":1}'),
        ToolCall("f", UNREADABLE),
    )


def other_model(value: dict[str, Any]) -> None:
    value["eval"]["model"] = "openai-api/gateway/gpt-4o"


def not_ended(value: dict[str, Any]) -> None:
    value["status"] = "cancelled"


def invalidated(value: dict[str, Any]) -> None:
    value["invalidated"] = True


def limited(value: dict[str, Any]) -> None:
    value["eval"]["config"]["limit"] = 2


def passes(value: dict[str, Any]) -> None:
    value["eval"]["config"]["epochs"] = 3


def one_lost(value: dict[str, Any]) -> None:
    value["samples"].pop()


def one_twice(value: dict[str, Any]) -> None:
    value["samples"][0] = value["samples"][1]


def a_foreign_one(value: dict[str, Any]) -> None:
    value["samples"][0]["id"] = "three"


def one_failed(value: dict[str, Any]) -> None:
    value["samples"][0]["error"] = {"message": "boom"}


def of_other_words(value: dict[str, Any]) -> None:
    value["samples"][0]["input"][0]["content"] = "an easier question"


def other_tools(value: dict[str, Any]) -> None:
    value["eval"]["model_generate_config"]["extra_body"] = {"tools": []}


def a_call_before(value: dict[str, Any]) -> None:
    call = {"id": "1", "function": "f", "arguments": {}, "type": "function"}
    value["samples"][0]["input"][0]["tool_calls"] = [call]


def two_choices(value: dict[str, Any]) -> None:
    value["samples"][0]["output"]["choices"] *= 2


def no_answer(value: dict[str, Any]) -> None:
    value["samples"][0]["output"]["choices"] = []


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (other_model, "of the model openai-api/gateway/gpt-4o"),
        (not_ended, "status is cancelled"),
        (invalidated, "not success"),
        (limited, "a part of the cases"),
        (passes, "several passes"),
        (one_lost, "holds 1 of 2 cases"),
        (one_twice, "not asked, or twice"),
        (a_foreign_one, "a case three that was not asked"),
        (one_failed, "case two ended with an error"),
        (of_other_words, "case two asked something else"),
        (other_tools, "offered other tools"),
        (a_call_before, "case two asked something else"),
        (two_choices, "not an Inspect log of this run"),
        (no_answer, "not an Inspect log of this run"),
    ],
)
def test_any_other_log_is_refused(
    tmp_path: Path, damage: Callable[[dict[str, Any]], None], message: str
) -> None:
    value = log()
    damage(value)
    with pytest.raises(EvaluationError, match=message):
        read(tmp_path, value)


@pytest.mark.parametrize("value", [[], {}, {"eval": 1}, "x"])
def test_what_is_no_log_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(EvaluationError, match="not an Inspect log of this run"):
        read(tmp_path, value)


@pytest.mark.parametrize(
    "url", ["http://user:secret@host/v1", "https://host/v1?key=secret", "file:///etc", "host/v1"]
)
def test_a_url_that_holds_a_secret_or_is_none_is_refused(url: str) -> None:
    with pytest.raises(EvaluationError):
        Route(url)
