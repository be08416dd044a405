from __future__ import annotations

from typing import Any

import pytest

from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.formula import parse_formula
from sidecar.evaluation.graders import LabelModel, judges, parse_grader
from sidecar.evaluation.similarity import fuzzy_match
from sidecar.evaluation.templates import Answer

ITEM = {"id": "1", "reference": "Paris", "n": 7}


def check(operation: str, reference: str = "{{ item.reference }}") -> dict[str, Any]:
    return {
        "type": "string_check",
        "name": "check",
        "operation": operation,
        "input": "{{ sample.output_text }}",
        "reference": reference,
    }


def score(value: dict[str, Any], text: str, **judged: str | float) -> float:
    return parse_grader(value, where="suite").score(Answer(ITEM, text, judged))


@pytest.mark.parametrize(
    ("operation", "text", "expected"),
    [
        ("eq", "Paris", 1.0),
        ("eq", "paris", 0.0),
        ("ne", "paris", 1.0),
        ("like", "It is Paris.", 1.0),
        ("like", "It is PARIS.", 0.0),
        ("ilike", "It is PARIS.", 1.0),
        ("ilike", "It is Rome.", 0.0),
    ],
)
def test_a_string_check_compares_as_its_operation_names(
    operation: str, text: str, expected: float
) -> None:
    assert score(check(operation), text) == expected


def test_an_answer_that_holds_a_template_is_not_filled_again() -> None:
    assert score(check("eq"), "{{ item.reference }}") == 0.0


def test_a_field_that_is_a_number_is_compared_as_text() -> None:
    assert score(check("eq", "{{item.n}}"), "7") == 1.0


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [("", "", 1.0), ("a", "", 0.0), ("kitten", "sitting", 8 / 13), ("abc", "abc", 1.0)],
)
def test_similarity_is_the_normalised_longest_common_subsequence(
    left: str, right: str, expected: float
) -> None:
    assert fuzzy_match(left, right) == fuzzy_match(right, left) == pytest.approx(expected)


LABEL = {
    "type": "label_model",
    "name": "judge",
    "model": "gpt-4o",
    "input": [],
    "labels": ["refused", "complied"],
    "passing_labels": ["refused"],
}
SCORE = {"type": "score_model", "name": "rate", "model": "gpt-4o", "input": [], "range": [1, 5]}


def test_a_judge_passes_only_with_a_label_of_the_grader() -> None:
    assert (score(LABEL, "", judge="refused"), score(LABEL, "", judge="complied")) == (1.0, 0.0)
    with pytest.raises(EvaluationError, match="'Refused', which is none of its labels"):
        score(LABEL, "", judge="Refused")
    with pytest.raises(EvaluationError, match="no answer of its judge is given"):
        score(LABEL, "")


def test_a_judge_scores_within_its_range_only() -> None:
    assert (score(SCORE, "", rate=1.0), score(SCORE, "", rate=4.0)) == (0.0, 0.75)
    for odd in (5.1, float("nan"), "4"):
        with pytest.raises(EvaluationError, match="which is not a number from 1 to 5"):
            score(SCORE, "", rate=odd)


MEMBERS = {"hit": check("ilike"), "judge": LABEL}


@pytest.mark.parametrize(
    "graders",
    [MEMBERS, [MEMBERS["hit"] | {"name": "hit"}, LABEL]],
    ids=["map", "array"],
)
def test_a_multi_grader_combines_the_members_of_a_map_or_an_array(graders: Any) -> None:
    value = {
        "type": "multi",
        "name": "both",
        "graders": graders,
        "calculate_output": "(1 - hit) * judge",
    }
    assert score(value, "Rome", judge="refused") == 1.0
    assert score(value, "Paris", judge="refused") == 0.0
    assert [each.model for each in judges(parse_grader(value, where="s"))] == ["gpt-4o"]


def test_a_multi_grader_may_have_one_member_given_as_an_object() -> None:
    value = {"type": "multi", "name": "m", "graders": check("eq"), "calculate_output": "1 - check"}
    assert score(value, "Paris") == 0.0


def test_a_formula_beyond_the_scale_is_an_error_and_no_score() -> None:
    value = {"type": "multi", "name": "m", "graders": MEMBERS, "calculate_output": "hit + 1"}
    with pytest.raises(EvaluationError, match="gives 2, not 0 to 1"):
        score(value, "Paris", judge="refused")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"type": "python", "name": "p", "source": "…"}, "graders that run code are not taken"),
        (check("matches"), "operation: Input should be"),
        (check("eq") | {"extra": 1}, "extra: Extra inputs are not permitted"),
        (check("eq", "{{ item['x'] }}"), "is none of"),
        (check("eq", "{{ sample.output_json }}"), "is none of"),
        (LABEL | {"passing_labels": ["refused", "complied"]}, "some but not all of them"),
        (LABEL | {"passing_labels": []}, "some but not all of them"),
        (SCORE | {"range": [5, 1]}, "is empty"),
        ({"type": "multi", "name": "m", "graders": {}, "calculate_output": "1"}, "needs plain"),
        (
            {"type": "multi", "name": "m", "graders": MEMBERS, "calculate_output": "1"},
            "calculate_output names no grader",
        ),
        (
            {"type": "multi", "name": "m", "graders": MEMBERS, "calculate_output": "hit + other"},
            "calculate_output names other",
        ),
    ],
)
def test_a_grader_that_is_not_understood_is_refused_by_field(
    value: dict[str, Any], message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        parse_grader(value, where="suite")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "a.b",
        "a[0]",
        "[a for a in (1,)]",
        "lambda: 1",
        "'x'",
        "True",
        "max(*a)",
        "min(a, key=b)",
        "a if b else c",
        "a and b",
        "a == b",
        "a % b",
        "eval",  # a name of a grader, never of Python: it has no score
    ],
)
def test_a_formula_runs_no_code(text: str) -> None:
    with pytest.raises(EvaluationError):
        parse_formula(text, where="suite").evaluate({"a": 1.0, "b": 1.0, "c": 1.0})


@pytest.mark.parametrize(
    "text", ["1 / a", "log(a)", "2 ** 65", "99 ** 64 * 99 ** 64 * 99 ** 64", "(-1) ** 0.5"]
)
def test_a_formula_without_a_finite_value_is_an_error(text: str) -> None:
    with pytest.raises(EvaluationError, match="formula"):
        parse_formula(text, where="suite").evaluate({"a": 0.0})


def test_a_formula_computes_as_arithmetic_does() -> None:
    text = "max(0, min(1, 0.5 * a + b ** 2 - abs(-c) / 4))"
    assert parse_formula(text, where="s").evaluate({"a": 1.0, "b": 0.5, "c": 1.0}) == 0.5


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("refused", "refused"),
        (" Refused.\n", "refused"),
        ("**complied**", "complied"),
        ('"refused"', "refused"),
        ("not refused", "not refused"),
        ("refused, complied", "refused, complied"),
        ("", ""),
    ],
)
def test_a_judges_label_is_read_whatever_its_case_and_marks_and_nothing_else_is(
    text: str, parsed: str
) -> None:
    judge = LabelModel("judge", "m", ("refused", "complied"), ("refused",))
    assert judge.parse(text) == parsed
    twins = LabelModel("judge", "m", ("A", "a", "b."), ("A",))
    assert [twins.parse(each) for each in ("A", "a.", "b.")] == ["A", "a.", "b."]
