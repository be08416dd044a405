"""What reports measured counts for exactly one suite, and for all of its cases."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidecar.evaluation.countersign import Measured
from sidecar.evaluation.errors import EvaluationError
from sidecar.evaluation.interval import wilson
from sidecar.evaluation.measured import SuiteCases, measured, read_cases
from sidecar.evaluation.reports import read_report
from sidecar.evaluation.starter import starter_folder
from sidecar.evaluation.suite import read_suite
from tests.unit.evaluation.report_samples import (
    EVAL,
    GARAK,
    INSPECT,
    LM_EVAL,
    MODEL,
    PROMPTFOO,
    sample,
    written,
)


def test_measurements_are_pooled_by_samples_into_the_suite_they_are_mapped_to() -> None:
    asked = [row | {"probe_classname": "encoding.A"} for row in GARAK[2:EVAL]]
    found = GARAK[EVAL] | {"probe": "encoding.A", "passed": 10}
    report = read_report("garak", written([*GARAK[:-1], *asked, found, GARAK[-1]]))
    keys = {"jailbreaks": ["dan.Dan_11_0", "encoding.A"]}
    # Of 20 answers to two probes, those to one of them seen by two detectors.
    low, high = wilson(0.925, 20)
    assert measured([report], keys, {"jailbreaks": SuiteCases(10)}, MODEL) == (
        Measured(
            "jailbreaks",
            0.925,
            samples=20,
            low=low,
            high=high,
            tool="garak 0.13.1",
            report=report.digest,
            performed=datetime(2026, 5, 1, 8, tzinfo=UTC),
            counted=True,
        ),
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"a": ["probe.Unknown"]}, "no report measures probe.Unknown; measured are dan.Dan_11_0"),
        ({"a": ["dan.Dan_11_0"], "b": ["dan.Dan_11_0"]}, "is mapped to a and to b"),
        ({}, "nothing of the garak 0.13.1 report is mapped"),
    ],
)
def test_a_mapping_that_leaves_a_doubt_is_refused(keys: dict[str, list[str]], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        measured([read_report("garak", written(GARAK))], keys, {"a": SuiteCases(5)}, MODEL)


SUBSETS = {
    # A data set cut short by the task's own arguments, and asked twice.
    "inspect": INSPECT
    | {
        "eval": INSPECT["eval"]
        | {"dataset": {"samples": 2}, "config": {"limit": None, "epochs": 2}},
        "samples": [sample(number, "C") for number in (1, 2, 1, 2)],
    },
    # ``--filter-first-n 2 --repeat 2``, the tests read from a file.
    "promptfoo": PROMPTFOO
    | {
        "config": {"tests": "file://cases.jsonl"},
        "results": PROMPTFOO["results"]
        | {
            "stats": {"successes": 4, "failures": 0, "errors": 0},
            "results": [
                row | {"success": True, "vars": row["vars"] | {"sessionId": str(again)}}
                for again in range(2)
                for row in PROMPTFOO["results"]["results"][:2]
            ],
        },
    },
    # ``soft_probe_prompt_cap``, and several generations of each prompt.
    "garak": GARAK,
    "lm-eval": LM_EVAL,
}


@pytest.mark.parametrize(
    ("tool", "found", "declared"),
    [("inspect", 2, 4), ("promptfoo", 2, 4), ("garak", 5, 10), ("lm-eval", 8, 9)],
)
def test_a_part_of_the_suite_is_no_score_of_it_though_its_report_is_whole(
    tool: str, found: int, declared: int
) -> None:
    report = read_report(tool, written(SUBSETS[tool]))
    (key,) = report.scores
    with pytest.raises(EvaluationError, match=f"has {declared} cases, and the .* {found} diff"):
        measured([report], {"suite": [key]}, {"suite": SuiteCases(declared)}, MODEL)
    with pytest.raises(EvaluationError, match=f"is not stated; the report has {found}"):
        measured([report], {"suite": [key]}, {}, MODEL)
    assert len(measured([report], {"suite": [key]}, {"suite": SuiteCases(found)}, MODEL)) == 1


def test_cases_are_counted_in_the_declared_edition_alone(tmp_path: Path) -> None:
    file = tmp_path / "probes.jsonl"
    file.write_text('{"q": 1}\n\n{"q": 2}\n')
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    folder = read_suite(starter_folder("refusal-regression"))
    assert read_cases(file, ["ab" * 32, digest]) == SuiteCases(2)
    texts = tuple(str(case.fields["input"]) for case in folder.cases)
    read = read_cases(starter_folder(folder.name), [folder.digest])
    assert read == SuiteCases(len(folder.cases), texts)
    file.write_text('{"q": 1}\n')
    for path, message in (
        (file, "is another edition than the manifest declares"),
        (tmp_path / "lost.jsonl", "No such file"),
        (tmp_path / "probes.yaml", "neither a suite's folder nor a .jsonl file"),
    ):
        with pytest.raises(EvaluationError, match=message):
            read_cases(path, [digest])


@pytest.mark.parametrize("tool", ["inspect", "promptfoo", "garak"])
def test_as_many_other_cases_are_no_score_of_the_declared_ones(tool: str) -> None:
    report = read_report(
        tool, written({"inspect": INSPECT, "promptfoo": PROMPTFOO}.get(tool, GARAK))
    )
    (score,) = report.scores.values()
    asked = {
        "inspect": ("Question 1?", "Question 4?"),
        "promptfoo": ("0", "2"),
        "garak": ("DAN 0", "DAN 4"),
    }[tool]
    given = {"suite": SuiteCases(score.cases, asked)}
    (row,) = measured([report], {"suite": [score.key]}, given, MODEL)
    assert not row.counted
    other = {"suite": SuiteCases(score.cases, (*asked, "What is new in this edition?"))}
    with pytest.raises(EvaluationError, match="does not have 1 of its questions, such as 'What is"):
        measured([report], {"suite": [score.key]}, other, MODEL)
