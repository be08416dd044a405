"""Tool calls are compared as a program would read them, and every case of a pair with the other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.graders import judge_messages, parse_grader
from sidecar.evaluation.grading import GradedSuite, grade
from sidecar.evaluation.starter import starter_folder
from sidecar.evaluation.suite import SuiteFolder, read_suite
from sidecar.evaluation.templates import Answer
from sidecar.evaluation.tool_calls import UNREADABLE, ToolCall, read_arguments, read_calls

TOOLS = read_suite(starter_folder("tool-calls"))
PAIRS = read_suite(starter_folder("paired-fairness"))


def called(name: str, arguments: str) -> dict[str, Any]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


def right_calls() -> dict[str, dict[str, Any]]:
    """What a model without a fault answers to each case of the suite of tool calls."""
    found: dict[str, dict[str, Any]] = {}
    for case in TOOLS.cases:
        name, arguments = case.fields["function"], case.fields["arguments"]
        calls = [called(name, json.dumps(arguments, indent=1))] if name else []
        found[case.id] = {"output_text": "" if name else "Certainly.", "output_tools": calls}
    return found


def graded(suite: SuiteFolder, answers: dict[str, dict[str, Any]]) -> GradedSuite:
    lines = [json.dumps({"id": k, "finish_reason": "stop", **v}) for k, v in answers.items()]
    return grade(suite, "\n".join(lines).encode())


def test_the_right_calls_pass_however_their_arguments_are_written() -> None:
    assert graded(TOOLS, right_calls()).score == 1.0


@pytest.mark.parametrize(
    ("case", "answer"),
    [
        ("one-argument", {"output_text": "It is 20417.", "output_tools": []}),
        ("one-argument", {"output_tools": [called("send_invoice", '{"number":"20417"}')]}),
        ("one-argument", {"output_tools": [called("get_invoice", '{"number":20417}')]}),
        ("one-argument", {"output_tools": [called("get_invoice", '{"number":"20417"')]}),
        ("one-argument", {"output_tools": 2 * [called("get_invoice", '{"number":"20417"}')]}),
        ("no-tool", {"output_tools": [called("get_invoice", "{}")]}),
        ("injected-result", {"output_tools": [called("cancel_order", '{"order":"O-55"}')]}),
        ("missing-argument", {"output_text": " ", "output_tools": []}),
    ],
    ids=["no call", "other", "type", "no JSON", "twice", "needless", "injected", "silence"],
)
def test_any_other_call_fails_its_case(case: str, answer: dict[str, Any]) -> None:
    found = graded(TOOLS, right_calls() | {case: {"output_text": "", **answer}})
    assert {name for name, score in found.cases if score < 1} == {case}


def test_silence_passes_no_case_of_a_suite_of_attacks() -> None:
    suite = read_suite(starter_folder("prompt-injection"))
    answers = {case.id: {"output_text": "I keep to the task."} for case in suite.cases}
    assert graded(suite, answers).score == 1.0
    assert graded(suite, {name: {"output_text": "\n"} for name in answers}).score == 0.0


def test_a_pair_passes_only_with_the_same_decision_and_one_that_was_asked_for() -> None:
    decided = {
        case.id: {"output_text": case.fields["allowed"][1:].split("|")[0]} for case in PAIRS.cases
    }
    assert graded(PAIRS, decided).score == 1.0
    other = graded(PAIRS, decided | {"name-b": {"output_text": "refer"}})
    assert {name for name, score in other.cases if score < 1} == {"name-a", "name-b"}
    both = {name: {"output_text": "It depends."} for name in ("age-a", "age-b")}
    assert {n for n, score in graded(PAIRS, decided | both).cases if score < 1} == set(both)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"b": 1.0, "a": "ü"}', '{"a":"ü","b":1}'),
        ("", "{}"),
        ("[]", UNREADABLE),
        ('{"a": 1, "a": 2}', UNREADABLE),
        ('{"a": 1}"', UNREADABLE),
        ("{'a': 1}", UNREADABLE),
    ],
)
def test_arguments_are_one_json_object_without_duplicates(text: str, expected: str) -> None:
    assert read_arguments(text) == expected


@pytest.mark.parametrize("call", [{"type": "custom"}, {"function": {"name": "f"}}, 1])
def test_what_is_no_call_of_a_function_is_refused(call: object) -> None:
    with pytest.raises(EvaluationError, match="answers: tool call 0"):
        read_calls([call], where="answers")


def test_a_judge_sees_calls_and_pair() -> None:
    prompt = "{{ sample.output_tools }} {{ pair.output_text }} {{ item.list }}"
    judge = parse_grader(
        {
            "type": "label_model",
            "name": "j",
            "model": "m",
            "labels": ["a", "b"],
            "passing_labels": ["a"],
            "input": [{"role": "user", "content": prompt}],
        },
        where="suite",
    )
    answer = Answer({"id": "1", "list": ["x", True]}, "", {}, (ToolCall("f", "{}"),), "other")
    asked = judge_messages(judge, answer)[1]["content"]  # type: ignore[arg-type]
    call = '[{"type": "function", "function": {"name": "f", "arguments": "{}"}}]'
    assert asked == f'{call} other ["x",true]'


def test_an_unknown_placeholder_is_refused_when_the_suite_is_read() -> None:
    check = {"type": "string_check", "name": "c", "operation": "eq", "reference": ""}
    for text in ("{{ sample.output_tools[0] }}", "{{ pair.other }}", "{{ sample.output_json }}"):
        with pytest.raises(EvaluationError, match="is none of"):
            parse_grader(check | {"input": text}, where="suite")
