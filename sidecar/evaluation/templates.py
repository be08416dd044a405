"""Fills the templates of graders with a case and its answer.

| placeholder | value |
|---|---|
| ``{{ item.FIELD }}`` | a field of the case; what is not a text as canonical JSON |
| ``{{ sample.output_text }}`` | the text of the answer |
| ``{{ sample.output_tools }}`` | all tool calls of the answer, as JSON |
| ``{{ sample.output_tools[N].function.name }}`` | name of the call N, from 0; empty if none |
| ``{{ sample.output_tools[N].function.arguments }}`` | its arguments, as canonical JSON; likewise |
| ``{{ pair.output_text }}`` | the answer's text to the case that the field ``pair`` names |

``item`` and ``sample`` are those of OpenAI's "Graders" guide; ``pair`` is this project's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.tool_calls import ToolCall, calls_text, canonical

PAIR = "pair"
"""The field of a case that names another one, whose answer its own is compared with."""

_ITEM = re.compile(r"\{\{\s*item\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_CALL = re.compile(
    r"\{\{\s*sample\.output_tools\[([0-9]{1,3})\]\.function\.(name|arguments)\s*\}\}"
)
_WHOLE = re.compile(r"\{\{\s*(sample\.output_text|sample\.output_tools|pair\.output_text)\s*\}\}")
_ANY = re.compile(r"\{\{.*?\}\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered to one case.

    Attributes:
        item: The fields of the case.
        output_text: The text of the answer.
        judged: Name of a model grader → the label or score that its judge returned.
        output_tools: The tool calls of the answer.
        pair_text: The text of the answer to the paired case; ``None`` without one.
    """

    item: Mapping[str, Any]
    output_text: str
    judged: Mapping[str, str | float]
    output_tools: tuple[ToolCall, ...] = ()
    pair_text: str | None = None


def check_templates(where: str, *templates: str) -> None:
    """Require that every placeholder is one that ``fill`` accepts.

    Raises:
        EvaluationError: One is not; names it.
    """
    for template in templates:
        for found in _ANY.findall(template):
            if not any(known.fullmatch(found) for known in (_ITEM, _CALL, _WHOLE)):
                raise EvaluationError(
                    f"{where}: {found} is none of {{{{ item.FIELD }}}},"
                    " {{ sample.output_text }}, {{ sample.output_tools }},"
                    " {{ sample.output_tools[0].function.name }}, … .arguments }} and"
                    " {{ pair.output_text }}"
                )


def names_pair(template: str) -> bool:
    """Return whether a template compares with the answer to the paired case."""
    return any(found[1].startswith(f"{PAIR}.") for found in _WHOLE.finditer(template))


def fill(template: str, answer: Answer) -> str:
    """Fill a template in one pass, so that an answer with braces in it is not filled again.

    Raises:
        EvaluationError: The case lacks a field that the template names, or a pair.
    """
    return _ANY.sub(lambda found: _value(found[0], answer), template)


def _value(placeholder: str, answer: Answer) -> str:
    if field := _ITEM.fullmatch(placeholder):
        if field[1] not in answer.item:
            raise EvaluationError(f"case {answer.item.get('id')}: has no field {field[1]}")
        found = answer.item[field[1]]
        return found if isinstance(found, str) else canonical(found)
    if call := _CALL.fullmatch(placeholder):
        number = int(call[1])
        if number >= len(answer.output_tools):
            return ""
        made = answer.output_tools[number]
        return made.name if call[2] == "name" else made.arguments
    whole = _WHOLE.fullmatch(placeholder)
    assert whole is not None, "checked when the grader was parsed"
    match whole[1]:
        case "sample.output_text":
            return answer.output_text
        case "sample.output_tools":
            return calls_text(answer.output_tools)
    if answer.pair_text is None:
        raise EvaluationError(
            f"case {answer.item.get('id')}: has no {PAIR}, which the grader names"
        )
    return answer.pair_text
