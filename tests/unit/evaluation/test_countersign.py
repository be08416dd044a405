from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sidecar.core.evidence import Statement, parse_statement, write_statement
from sidecar.core.predicates import (
    RESULT,
    EvaluationEnvelope,
    Result,
    Subject,
    Suite,
    SuiteAnnotations,
    SuiteResult,
)
from sidecar.core.window import Window
from sidecar.core.wire import DigestSet
from sidecar.evaluation.countersign import Measured, countersign, read_results
from sidecar.evaluation.errors import EvaluationError
from tests.unit.binding.jobs import expected

NOW = datetime(2026, 1, 2, tzinfo=UTC)
WINDOW = Window(NOW, NOW + timedelta(days=90))
DIGEST = "ab" * 32
ONE, TWO, THREE, FOUR = (DigestSet(f"{n}{n}" * 32) for n in "1234")
SUITES = (
    Suite("adversarial", "jailbreaks", ONE, 0.95),
    Suite("regression", "support", TWO, 0.9),
    Suite("compliance", "law", THREE, 1.0, "eu"),
    Suite("compliance", "law", FOUR, 0.5, "us"),
)
MANIFEST = replace(expected(), envelope=EvaluationEnvelope(SUITES))
GOOD = (
    Measured("jailbreaks", 0.95),
    Measured("support", 0.97, kind="regression", digest=TWO.sha256),
    Measured("law", 1.0, jurisdiction="eu"),
    Measured("law", 0.75, kind="compliance", jurisdiction="us"),
)


def configuration(*scores: float) -> tuple[SuiteResult, ...]:
    return tuple(
        SuiteResult(
            suite.name,
            suite.digest,
            SuiteAnnotations(suite.kind, suite.threshold, score, suite.jurisdiction),
        )
        for suite, score in zip(SUITES, scores, strict=True)
    )


def test_scores_that_reach_every_declared_threshold_pass() -> None:
    statement = countersign(MANIFEST, DIGEST, GOOD, WINDOW)
    assert statement == Statement(
        Subject(MANIFEST.model.id, DigestSet(DIGEST)),
        RESULT,
        Result("PASSED", configuration(0.95, 0.97, 1.0, 0.75), WINDOW),
    )
    assert parse_statement(write_statement(statement)) == statement


def test_a_result_states_that_cases_were_counted_alone() -> None:
    measured = [replace(each, tool="garak 0.17.1", counted=each is GOOD[0]) for each in GOOD]
    found = countersign(MANIFEST, DIGEST, measured, WINDOW).predicate.configuration
    tools = [item.annotations.tool for item in found]
    assert tools == ["garak 0.17.1; cases counted, not compared", *["garak 0.17.1"] * 3]


@pytest.mark.parametrize("number", range(4))
def test_one_score_below_its_threshold_fails_the_whole(number: int) -> None:
    rows = list(GOOD)
    rows[number] = replace(rows[number], score=0.49)
    scores = [0.95, 0.97, 1.0, 0.75]
    scores[number] = 0.49
    statement = countersign(MANIFEST, DIGEST, rows, WINDOW)
    assert statement.predicate == Result("FAILED", configuration(*scores), WINDOW)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (GOOD[1:], "no score for the declared adversarial suite jailbreaks"),
        ((), "no score for the declared adversarial suite jailbreaks"),
        ((*GOOD, GOOD[0]), "2 scores for the declared adversarial suite jailbreaks"),
        (
            (*GOOD[:2], Measured("law", 1.0)),
            "a score of law fits several suites: compliance suite law for eu or compliance suite"
            " law for us; give its kind or jurisdiction",
        ),
        (
            (*GOOD, Measured("toxicity", 1.0)),
            "the envelope declares no suite toxicity (any kind)",
        ),
        (
            (*GOOD, Measured("law", 1.0, jurisdiction="uk")),
            "the envelope declares no suite law (any kind for uk)",
        ),
        (
            (*GOOD[1:], Measured("jailbreaks", 1.0, kind="regression")),
            "the envelope declares no suite jailbreaks (regression)",
        ),
        (
            (replace(GOOD[0], digest=TWO.sha256), *GOOD[1:]),
            "the score is of another edition of the adversarial suite jailbreaks: its digest is"
            f" {TWO.sha256}, the declared one {ONE.sha256}",
        ),
        ((*GOOD[:3],), "no score for the declared compliance suite law for us"),
        (
            (replace(GOOD[0], model="gpt-4o"), *GOOD[1:]),
            f"the scores are of gpt-4o, and the manifest is of {MANIFEST.model.id}",
        ),
    ],
)
def test_results_that_do_not_answer_the_envelope_are_never_signed(
    rows: tuple[Measured, ...], message: str
) -> None:
    with pytest.raises(EvaluationError) as caught:
        countersign(MANIFEST, DIGEST, rows, WINDOW)
    assert str(caught.value) == message


ROWS: list[dict[str, Any]] = [
    {
        "name": "b",
        "score": 0.5,
        "kind": "compliance",
        "jurisdiction": "eu",
        "digest": {"sha256": DIGEST},
        "model": "ft:m",
    },
    {"name": "c", "score": 0, "digest": DIGEST, "model": "ft:m"},
]


@pytest.mark.parametrize("value", [ROWS, {"results": ROWS, "tool": "inspect"}])
def test_results_are_read_from_a_list_or_an_object_around_it(value: object) -> None:
    assert read_results(json.dumps(value).encode()) == (
        Measured("b", 0.5, "compliance", "eu", DIGEST, model="ft:m"),
        Measured("c", 0.0, None, None, DIGEST, model="ft:m"),
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{}", "results: document: Input should be a valid list"),
        (b"1", "results: document: Input should be a valid list"),
        (b'[{"name": "a"}]', "results: 0.score: Field required"),
        (b'[{"name": "a", "score": 1, "model": "m"}]', "results: 0.digest: Field required"),
        (b'[{"name": "a", "score": 1, "digest": "d"}]', "results: 0.model: Field required"),
        (b'[{"name": "a", "score": true}]', "results: 0.score: Input should be a valid number"),
        (b'[{"name": "a", "score": "1"}]', "results: 0.score: Input should be a valid number"),
        (b'[{"name": "a", "score": NaN}]', "results: NaN is not JSON"),
        (
            b'[{"name": "a", "score": 1, "digest": "d", "model": "m", "treshold": 0}]',
            "results: 0.treshold: Extra inputs are not permitted",
        ),
        (b'[{"name": "a", "score": 0, "score": 1}]', "results: a key is given twice"),
    ],
)
def test_a_results_file_with_a_mistake_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        read_results(data)
    assert str(caught.value) == message


def test_a_digest_of_another_algorithm_matches_nothing() -> None:
    row = {"name": "jailbreaks", "score": 1, "digest": {"sha512": "ab"}}
    rows = read_results(json.dumps([row | {"model": MANIFEST.model.id}]).encode())
    with pytest.raises(EvaluationError, match="is of another edition"):
        countersign(MANIFEST, DIGEST, (*rows, *GOOD[1:]), WINDOW)
