"""Whether a newer statement renews, narrows, or stands beside an older one."""

from __future__ import annotations

import pytest

from sidecar.authority.matters import Relation, matter, patterns_meet, relation
from sidecar.core.evidence import Statement
from sidecar.core.predicates import WAIVER, Predicate, Waiver
from tests.unit.authority.reader import NOW
from tests.unit.authority.statements import (
    MANIFEST_DIGEST,
    MODEL,
    SPIFFE_ID,
    SUITES,
    approval,
    binding,
    environment,
    result,
    window,
)

RENEWS, BESIDE, NARROWS = Relation.RENEWS, Relation.BESIDE, Relation.NARROWS
PROD, LAB = "spiffe://acme.example/env/prod", "spiffe://acme.example/env/lab"

CASES: dict[str, tuple[Statement[Predicate], Statement[Predicate], Relation]] = {
    "the same again": (approval(), approval(), RENEWS),
    "a longer window": (approval(holds=window(91)), approval(), RENEWS),
    "a shorter window": (approval(holds=window(30)), approval(), NARROWS),
    "one jurisdiction more": (approval(jurisdictions=("eu", "us")), approval(), RENEWS),
    "one jurisdiction less": (approval(), approval(jurisdictions=("eu", "us")), NARROWS),
    "another jurisdiction": (approval(jurisdictions=("us",)), approval(), BESIDE),
    "one environment of many": (approval(environments=(PROD,)), approval(), NARROWS),
    "another environment": (
        approval(environments=(LAB,)), approval(environments=(PROD,)), BESIDE
    ),
    "one operation less": (approval(), approval(operations=("chat.completions", "b")), NARROWS),
    "another operation": (approval(operations=("b",)), approval(), BESIDE),
    "a new condition": (approval(conditions=("review",)), approval(), NARROWS),
    "a condition less": (approval(), approval(conditions=("review",)), RENEWS),
    "another declaration": (
        approval(declarations={"a": "2"}), approval(declarations={"a": "1"}), NARROWS
    ),
    "passed again": (result(), result(), RENEWS),
    "passed for less long": (result(holds=window(1)), result(), NARROWS),
    "passed with a lower score": (result(0.95, 1.0), result(0.96, 1.0), NARROWS),
    "passed with a higher score": (result(0.96, 1.0), result(0.95, 1.0), RENEWS),
    "failed after passed": (result(0.1, 1.0), result(), NARROWS),
    "passed after failed": (result(holds=window(1)), result(0.1, 1.0), RENEWS),
    "failed after failed": (result(0.1, 1.0, holds=window(1)), result(1.0, 0.1), RENEWS),
    "an environment renewed": (environment(), environment(), RENEWS),
    "one jurisdiction dropped": (environment(), environment(jurisdictions=("eu", "us")), NARROWS),
    "one jurisdiction added": (environment(jurisdictions=("eu", "us")), environment(), NARROWS),
    "another sector": (environment(sector="retail"), environment(), NARROWS),
    "fewer base models": (environment(base_models=()), environment(), NARROWS),
    "more base models": (environment(base_models=("openai/**",)), environment(), RENEWS),
    "bound again": (binding(), binding(), RENEWS),
    "bound to another model": (binding("gpt-5"), binding(), NARROWS),
    "bound for less long": (binding(holds=window(1)), binding(), NARROWS),
}  # fmt: skip


def test_a_newer_statement_is_compared_with_the_older_one_by_what_it_permits() -> None:
    found = {name: relation(new, old) for name, (new, old, _) in CASES.items()}
    assert found == {name: expected for name, (_, _, expected) in CASES.items()}


def test_only_statements_on_one_matter_are_compared() -> None:
    with pytest.raises(TypeError, match="Approval and Result share no matter"):
        relation(approval(), result())


def test_a_matter_is_what_several_statements_of_one_author_are_about() -> None:
    waiver = Statement(MODEL, WAIVER, Waiver("r", "eu", "why", window(1, NOW)))
    assert [matter(one) for one in (approval(), result(), environment(), binding(), waiver)] == [
        ("approval", MANIFEST_DIGEST, "regulator"),
        ("result", MANIFEST_DIGEST, *SUITES),
        ("environment", SPIFFE_ID),
        ("deployment", "azure", "prod"),
        None,
    ]


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/*", "a/b", True),
        ("a/*", "a/b/c", False),
        ("a/**", "a/b/c", True),
        ("a/*/c", "a/b/*", True),
        ("*x", "y*", True),
        ("a/*", "*/b", True),
        ("a/*/d", "a/**/e", False),
        ("**", "", True),
        ("a*", "b*", False),
        ("a" * 500 + "*", "a" * 500 + "**b", True),
    ],
)
def test_two_patterns_meet_where_some_name_is_covered_by_both(
    one: str, other: str, meet: bool
) -> None:
    assert patterns_meet(one, other) is patterns_meet(other, one) is meet
