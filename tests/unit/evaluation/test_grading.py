from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli.main import run
from sidecar.evaluation.countersign import Measured, read_results
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.grading import grade
from sidecar.evaluation.interval import wilson
from sidecar.evaluation.starter import starter_folder
from sidecar.evaluation.suite import read_suite

SUITE = read_suite(starter_folder("refusal-regression"))
JUDGED = read_suite(starter_folder("jailbreak"))


def answers(**changes: dict[str, Any] | None) -> bytes:
    """The right answer to every case, but for the changes by case id (``-`` as ``_``)."""
    lines = []
    for case in SUITE.cases:
        changed = changes.get(case.id.replace("-", "_"), {})
        line = {"id": case.id, "output_text": case.fields["reference"], "finish_reason": "stop"}
        if changed is not None:
            lines.append(json.dumps(line | changed))
    return "\n".join(lines).encode()


def test_the_score_is_the_mean_over_all_cases() -> None:
    graded = grade(SUITE, answers(law={"output_text": "1995"}))
    assert (graded.score, graded.passed, dict(graded.cases)["law"]) == (0.9, True, 0.0)
    assert not grade(SUITE, answers(law={"output_text": ""}, bank={"output_text": ""})).passed


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"law": None}, "1 of 10 cases have no answer: law"),
        ({"law": {"id": "bank"}}, "a second answer to case bank"),
        ({"law": {"finish_reason": "content_filter"}}, r"law \(content_filter\)"),
        ({"law": {"finish_reason": "length"}}, r"law \(length\)"),
        ({"law": {"output_text": None}}, "line 10: output_text"),
    ],
)
def test_what_was_not_answered_is_no_score(
    changes: dict[str, dict[str, Any] | None], message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        grade(SUITE, answers(**changes))


def test_an_answer_to_a_case_of_another_suite_is_an_error() -> None:
    extra = b'\n{"id": "other", "output_text": "", "finish_reason": "stop"}'
    with pytest.raises(EvaluationError, match="not cases of suite refusal-regression: other"):
        grade(SUITE, answers() + extra)


def test_an_answer_without_a_finish_reason_is_refused() -> None:
    with pytest.raises(EvaluationError, match="line 1: finish_reason: Field required"):
        grade(SUITE, b'{"id": "law", "output_text": "2018"}')


def test_the_graded_row_is_read_as_it_was_measured() -> None:
    judged = [
        {"id": c.id, "output_text": "No.", "finish_reason": "stop", "judged": {"judge": "refused"}}
        for c in JUDGED.cases
    ]
    row = grade(JUDGED, "\n".join(map(json.dumps, judged)).encode()).row("ft:m")
    low, high = wilson(1.0, len(JUDGED.cases))
    assert read_results(json.dumps([row]).encode()) == (
        Measured(
            "jailbreak",
            1.0,
            "adversarial",
            None,
            JUDGED.digest,
            len(JUDGED.cases),
            low,
            high,
            "admit suite grade, judge gpt-4o-2024-08-06",
            model="ft:m",
        ),
    )


def test_the_interval_is_wilsons() -> None:
    # Agresti and Coull (1998), example with 9 of 10: 0.596 to 0.982.
    assert wilson(0.9, 10) == pytest.approx((0.596, 0.982), abs=1e-3)
    assert wilson(0.0, 5)[0] == 0.0
    assert wilson(1.0, 5)[1] == 1.0


def test_the_command_writes_results_and_keeps_those_of_other_suites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = str(starter_folder("refusal-regression")), tmp_path / "results.json"
    given = tmp_path / "answers.jsonl"
    other = {"name": "other", "score": 1.0, "digest": "d", "model": "ft:m"}
    out.write_text(json.dumps([other]))
    given.write_bytes(answers(law={"output_text": ""}, bank={"output_text": ""}))
    command = ["suite", "grade", folder, "--answers", str(given), "--out", str(out)]
    assert run(command) == 2
    assert "give --model" in capsys.readouterr().err
    command += ["--model", "ft:m"]
    assert run(command) == 3
    assert "NOT passed: 0.8000, threshold 0.9" in capsys.readouterr().out
    given.write_bytes(answers())
    assert run(command) == 0
    rows = read_results(out.read_bytes())
    assert [(row.name, row.score) for row in rows] == [("other", 1.0), (SUITE.name, 1.0)]
    out.write_text(json.dumps({"results": [other]}))
    assert run(command) == 0
    assert len(read_results(out.read_bytes())) == 2
    for damaged in ("{", '{"name": "other"}', "[1]"):
        out.write_text(damaged)
        assert run(command) == 2
        assert "is not a results file; name another one" in capsys.readouterr().err
        assert out.read_text() == damaged


def test_a_copied_starter_suite_checks_as_the_one_it_was_copied_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "mine"
    assert run(["suite", "copy", "refusal-regression", str(copy)]) == 0
    assert read_suite(copy) == SUITE
    assert run(["suite", "copy", "refusal-regression", str(copy)]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("silence", ["", " \n", "\u200b\u2060", "\x00\u202e"])
def test_an_answer_without_anything_to_be_seen_passes_no_suite_of_attacks(silence: str) -> None:
    suite = read_suite(starter_folder("prompt-injection"))
    lines = [
        json.dumps({"id": case.id, "output_text": silence, "finish_reason": "stop"})
        for case in suite.cases
    ]
    assert grade(suite, "\n".join(lines).encode()).score == 0
    spoken = [line.replace(json.dumps(silence), '"No."') for line in lines]
    assert grade(suite, "\n".join(spoken).encode()).score == 1
