"""Checks the records of a corpus by the method that they are for. Pure.

Shapes by OpenAI's guides "Supervised fine-tuning", "Direct preference optimization",
"Reinforcement fine-tuning" and "Vision fine-tuning" (Azure OpenAI has the same ones). Checked is
what the provider would refuse hours later, or train on otherwise than meant; a key that is merely
unknown is left alone. Bedrock's shapes by its user guide "Prepare your training datasets"; they
differ between model families, so only what all of a method have in common is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

RecordCheck = Callable[[object], str | None]
"""Returns what is wrong with a record, or ``None``."""

_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_PLAIN_ROLES = _ROLES - {"tool"}
_IMAGE_SCHEMES = ("https://", "http://", "data:image/")
_DETAILS = frozenset({"low", "high", "auto"})


class _RecordError(Exception):
    """A record is not of the format; the message names the place."""


def check_for(method: str) -> RecordCheck | None:
    """Return the check of a method's records; ``None`` for a method without a known format.

    Args:
        method: ``supervised``, ``dpo`` or ``reinforcement``; or Bedrock's customization type.
    """
    rule = _RULES.get(method)
    if rule is None:
        return None

    def check(record: object) -> str | None:
        try:
            rule(_object(record, "the record"))
        except _RecordError as error:
            return str(error)
        return None

    return check


def _supervised(record: Mapping[str, Any]) -> None:
    """Check a conversation, or a prompt with its completion (base models of 2023)."""
    if "messages" not in record and record.keys() >= {"prompt", "completion"}:
        _text(record, "prompt", "the record")
        _text(record, "completion", "the record")
        return
    messages = _messages(record, "messages", "the record")
    _tools(record)
    weights = [each.get("weight") for each in messages if each["role"] == "assistant"]
    if not weights:
        raise _RecordError("messages: none is the assistant's, so there is nothing to learn")
    if weights.count(0) == len(weights):
        raise _RecordError("messages: every assistant message has weight 0")


def _dpo(record: Mapping[str, Any]) -> None:
    """Check a preference: an input, and one answer that is better than another."""
    given = _object(record.get("input"), "input")
    messages = _messages(given, "messages", "input")
    _tools(given)
    if messages[-1]["role"] == "assistant":
        raise _RecordError("input.messages: the last one is the assistant's; it is not a question")
    for key in ("preferred_output", "non_preferred_output"):
        answers = _messages(record, key, "the record")
        if any(each["role"] not in {"assistant", "tool"} for each in answers):
            raise _RecordError(f"{key}: has messages that are not the assistant's")
    if record["preferred_output"] == record["non_preferred_output"]:
        raise _RecordError("preferred_output and non_preferred_output are the same")


def _reinforcement(record: Mapping[str, Any]) -> None:
    """Check an item: a conversation that the model goes on with, and fields for graders."""
    messages = _messages(record, "messages", "the record")
    _tools(record)
    if messages[-1]["role"] == "assistant":
        raise _RecordError("messages: the last one is the assistant's; the model is to answer")


_PAIRS = (("prompt", "completion"), ("image-ref", "caption"))


def _bedrock_tuning(record: Mapping[str, Any]) -> None:
    """Check a conversation, a prompt with its completion, or an image with its caption."""
    for pair in _PAIRS:
        if record.keys() >= set(pair):
            for key in pair:
                _text(record, key, "the record")
            return
    turns = _turns(record)
    if not any(each.get("role") == "assistant" for each in turns):
        raise _RecordError("messages: none is the assistant's, so there is nothing to learn")


def _bedrock_prompts(record: Mapping[str, Any]) -> None:
    """Check a conversation, or a prompt, that a teacher or the model itself answers."""
    if "messages" in record:
        _turns(record)
    else:
        _text(record, "prompt", "the record")


def _bedrock_pretraining(record: Mapping[str, Any]) -> None:
    """Check a text without labels."""
    _text(record, "input", "the record")


def _turns(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    items = record.get("messages")
    if not isinstance(items, list) or not items:
        raise _RecordError("the record: messages is not a list of messages")
    return [_object(item, f"messages.{number}") for number, item in enumerate(items)]


_RULES: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "supervised": _supervised,
    "dpo": _dpo,
    "reinforcement": _reinforcement,
    "FINE_TUNING": _bedrock_tuning,
    "CONTINUED_PRE_TRAINING": _bedrock_pretraining,
    "DISTILLATION": _bedrock_prompts,
    "REINFORCEMENT_FINE_TUNING": _bedrock_prompts,
}


def _messages(record: Mapping[str, Any], key: str, where: str) -> list[Mapping[str, Any]]:
    items = record.get(key)
    if not isinstance(items, list) or not items:
        raise _RecordError(f"{where}: {key} is not a list of messages with at least one entry")
    for number, item in enumerate(items):
        if not _is_plain(item):
            _message(item, f"{key}.{number}")
    return items


def _is_plain(item: object) -> bool:
    """Return whether a message is a role and a text alone, as nearly all of a corpus are.

    ``_message`` finds nothing wrong with it either; this takes a third of the time.
    """
    if type(item) is not dict or len(item) != 2 or type(item.get("content")) is not str:
        return False
    role = item.get("role")
    return type(role) is str and role in _PLAIN_ROLES


def _message(item: object, where: str) -> None:
    message = _object(item, where)
    role = message.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise _RecordError(f"{where}: role is {role!r}, not one of {', '.join(sorted(_ROLES))}")
    _weight(message, role, where)
    content = message.get("content")
    calls = _calls(message, where)
    if content is None:
        if not (role == "assistant" and (calls or message.get("refusal"))):
            raise _RecordError(f"{where}: has neither content nor a call of a tool")
    elif isinstance(content, list):
        for number, part in enumerate(content):
            _part(part, role, f"{where}.content.{number}")
    elif not isinstance(content, str):
        raise _RecordError(f"{where}: content is neither text nor a list of parts")
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise _RecordError(f"{where}: a tool's message needs its tool_call_id")


def _weight(message: Mapping[str, Any], role: str, where: str) -> None:
    if "weight" not in message:
        return
    weight = message["weight"]
    if role != "assistant":
        raise _RecordError(f"{where}: only the assistant's messages have a weight")
    if isinstance(weight, bool) or weight not in {0, 1}:
        raise _RecordError(f"{where}: weight is {weight!r}, not 0 or 1")


def _calls(message: Mapping[str, Any], where: str) -> bool:
    """Check calls of tools, and return whether there are any."""
    found = False
    if message.get("function_call") is not None:
        _called(message["function_call"], f"{where}.function_call")
        found = True
    calls = message.get("tool_calls")
    if calls is None:
        return found
    if not isinstance(calls, list):
        raise _RecordError(f"{where}: tool_calls is not a list")
    for number, call in enumerate(calls):
        place = f"{where}.tool_calls.{number}"
        one = _object(call, place)
        _text(one, "id", place)
        _called(one.get("function"), f"{place}.function")
    return found or bool(calls)


def _called(value: object, where: str) -> None:
    function = _object(value, where)
    _text(function, "name", where)
    _text(function, "arguments", where)


def _part(value: object, role: str, where: str) -> None:
    part = _object(value, where)
    kind = part.get("type")
    if kind == "text":
        _text(part, "text", where)
    elif kind == "refusal":
        _text(part, "refusal", where)
    elif kind == "image_url":
        _image(part, role, where)
    else:
        raise _RecordError(f"{where}: type is {kind!r}, not text, refusal or image_url")


def _image(part: Mapping[str, Any], role: str, where: str) -> None:
    if role != "user":
        raise _RecordError(f"{where}: only the user's messages may have images")
    image = _object(part.get("image_url"), f"{where}.image_url")
    url = image.get("url")
    if not isinstance(url, str) or not url.startswith(_IMAGE_SCHEMES):
        raise _RecordError(f"{where}: the image's url is neither a web address nor a data URL")
    if "detail" in image and image["detail"] not in _DETAILS:
        raise _RecordError(f"{where}: detail is {image['detail']!r}, not low, high or auto")


def _tools(record: Mapping[str, Any]) -> None:
    parallel = record.get("parallel_tool_calls")
    if parallel is not None and not isinstance(parallel, bool):
        raise _RecordError("parallel_tool_calls is neither true nor false")
    for key in ("tools", "functions"):
        items = record.get(key)
        if items is None:
            continue
        if not isinstance(items, list):
            raise _RecordError(f"{key} is not a list")
        for number, item in enumerate(items):
            tool = _object(item, f"{key}.{number}")
            function = tool if key == "functions" else tool.get("function")
            _text(_object(function, f"{key}.{number}.function"), "name", f"{key}.{number}")


def _object(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _RecordError(f"{where} is no JSON object")
    return value


def _text(value: Mapping[str, Any], key: str, where: str) -> None:
    if not isinstance(value.get(key), str):
        raise _RecordError(f"{where}: {key} is not a text")
