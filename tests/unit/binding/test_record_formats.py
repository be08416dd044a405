from __future__ import annotations

from typing import Any

import pytest

from sidecar.binding.record_formats import check_for

ASKED = {"role": "user", "content": "Where is my order?"}
ANSWERED = {"role": "assistant", "content": "On its way."}
CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
TOOLS = [{"type": "function", "function": {"name": "find", "parameters": {}}}]
PICTURE = {"type": "image_url", "image_url": {"url": "https://acme.example/1.png", "detail": "low"}}


def problem(method: str, record: Any) -> str | None:
    check = check_for(method)
    assert check is not None
    return check(record)


@pytest.mark.parametrize(
    ("method", "record"),
    [
        ("supervised", {"messages": [ASKED, ANSWERED]}),
        ("supervised", {"messages": [ASKED, {**ANSWERED, "weight": 0}, ASKED, ANSWERED]}),
        ("supervised", {"prompt": "Once", "completion": " upon a time"}),
        (
            "supervised",
            {
                "messages": [
                    ASKED,
                    {"role": "assistant", "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "c1", "content": "found"},
                    {**ANSWERED, "weight": 1},
                ],
                "tools": TOOLS,
                "parallel_tool_calls": False,
            },
        ),
        (
            "supervised",
            {
                "messages": [
                    ASKED,
                    {
                        "role": "assistant",
                        "content": None,
                        "function_call": {"name": "find", "arguments": "{}"},
                    },
                ],
                "functions": [{"name": "find"}],
            },
        ),
        (
            "supervised",
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "What?"}, PICTURE]},
                    ANSWERED,
                ]
            },
        ),
        (
            "dpo",
            {
                "input": {"messages": [ASKED], "tools": TOOLS},
                "preferred_output": [ANSWERED],
                "non_preferred_output": [{"role": "assistant", "content": "No."}],
            },
        ),
        ("reinforcement", {"messages": [ASKED], "reference": {"answer": 7}, "level": "hard"}),
    ],
)
def test_records_in_the_form_of_their_method_are_taken(method: str, record: Any) -> None:
    assert problem(method, record) is None


@pytest.mark.parametrize(
    ("method", "record", "why"),
    [
        (
            "supervised",
            {},
            "the record: messages is not a list of messages with at least one entry",
        ),
        ("supervised", {"messages": [ASKED]}, "messages: none is the assistant's, so there is"),
        (
            "supervised",
            {"messages": [ASKED, {**ANSWERED, "weight": 0}]},
            "messages: every assistant message has weight 0",
        ),
        (
            "supervised",
            {"messages": [ASKED, {**ANSWERED, "weight": 0.5}]},
            "messages.1: weight is 0.5, not 0 or 1",
        ),
        (
            "supervised",
            {"messages": [{**ASKED, "weight": 1}, ANSWERED]},
            "messages.0: only the assistant's messages have a weight",
        ),
        (
            "supervised",
            {"messages": [{"role": "robot"}]},
            "messages.0: role is 'robot', not one of",
        ),
        (
            "supervised",
            {"messages": [{"role": ["user"], "content": "Who are you?"}, ANSWERED]},
            "messages.0: role is ['user'], not one of",
        ),
        (
            "supervised",
            {"messages": [ASKED, {"role": "assistant"}]},
            "messages.1: has neither content nor a call of a tool",
        ),
        (
            "supervised",
            {"messages": [ASKED, {"role": "assistant", "tool_calls": [{"id": "1"}]}]},
            "messages.1.tool_calls.0.function is no JSON object",
        ),
        (
            "supervised",
            {"messages": [ASKED, {"role": "tool", "content": "x"}, ANSWERED]},
            "messages.1: a tool's message needs its tool_call_id",
        ),
        (
            "supervised",
            {"messages": [ASKED, {"role": "assistant", "content": [PICTURE]}]},
            "messages.1.content.0: only the user's messages may have images",
        ),
        (
            "supervised",
            {"messages": [{"role": "user", "content": [{"type": "video"}]}, ANSWERED]},
            "messages.0.content.0: type is 'video', not text, refusal or image_url",
        ),
        (
            "supervised",
            {"messages": [ASKED, ANSWERED], "tools": [{"type": "function"}]},
            "tools.0.function is no JSON object",
        ),
        (
            "supervised",
            {"messages": [ASKED, ANSWERED], "parallel_tool_calls": "no"},
            "parallel_tool_calls is neither true nor false",
        ),
        ("dpo", {"messages": [ASKED, ANSWERED]}, "input is no JSON object"),
        (
            "dpo",
            {"input": {"messages": [ASKED]}, "preferred_output": [ANSWERED]},
            "the record: non_preferred_output is not a list of messages",
        ),
        (
            "dpo",
            {
                "input": {"messages": [ASKED]},
                "preferred_output": [ANSWERED],
                "non_preferred_output": [ANSWERED],
            },
            "preferred_output and non_preferred_output are the same",
        ),
        (
            "dpo",
            {
                "input": {"messages": [ASKED]},
                "preferred_output": [ASKED],
                "non_preferred_output": [ANSWERED],
            },
            "preferred_output: has messages that are not the assistant's",
        ),
        (
            "reinforcement",
            {"messages": [ASKED, ANSWERED]},
            "messages: the last one is the assistant's; the model is to answer",
        ),
        ("reinforcement", [], "the record is no JSON object"),
    ],
)
def test_what_the_method_cannot_learn_from_is_named(method: str, record: Any, why: str) -> None:
    found = problem(method, record)
    assert found is not None
    assert found.startswith(why)


def test_a_method_without_a_known_format_has_no_check() -> None:
    assert check_for("custom") is None
