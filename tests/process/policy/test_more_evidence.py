"""A rule that denies for one result or approval too many is found by the calls its tests admit."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.opa.errors import PolicyError
from sidecar.opa.location import opa_path
from sidecar.policy import checks
from sidecar.policy.checks import Problem
from tests.process.policies.opa import copy_policies


def found_by(policies: Path) -> dict[str, tuple[Problem, ...]]:
    return {one.name: one.problems for one in checks.check(opa_path(), policies)}


ALL_OF_THEM = """
# METADATA
# title: Every one of them
# description: Which is one too many where another file adds to them.
# custom:
#   code: {code}
#   citation: None
#   remedy: None
#   term: adaptations[]
#   effective_on: "2026-01-01"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), adaptation.model, "no") if {{
	some i, adaptation in input.adaptations
	not every_one(i)
}}

every_one(i) if {{
	every one in input.adaptations[i].{path} {{
		{condition}
	}}
}}
"""


EVERY_RESULT = """every result in one.results {
			result.score >= 0.95
		}"""


@pytest.mark.parametrize(
    ("path", "condition", "added"),
    [
        ("suites", EVERY_RESULT, "a result of its adversarial suite that just passes"),
        ("approvals", "count(one.declarations) > 0", "as customer that declares nothing"),
        ("approvals", "one.of_record == false", "as provider by or not by one of record"),
    ],
)
def test_a_rule_that_denies_for_one_file_too_many_is_found(
    tmp_path: Path, path: str, condition: str, added: str
) -> None:
    tree = copy_policies(tmp_path)
    words = {"code": "uk.every_one", "path": path, "condition": condition}
    rules_file = tree / "jurisdiction" / "uk" / "uk.rego"
    rules_file.write_text(rules_file.read_text() + ALL_OF_THEM.format(**words))
    tested = rules_file.with_name("uk_test.rego")
    tested.write_text(
        tested.read_text()
        + '\ntest_every_one if {\n\tcodes(fixtures.facts) != {"uk.every_one"}\n}\n'
    )
    found = found_by(tree)
    assert {(one.file, one.code) for one in found["evidence"]} == {
        ("jurisdiction/uk", "uk.every_one")
    }
    assert any(added in one.message for one in found["evidence"])
    assert (found["types"], found["lint"]) == ((), ())


def test_a_package_whose_tests_name_no_call_that_it_admits_is_not_checked_and_reported(
    tmp_path: Path,
) -> None:
    tree = copy_policies(tmp_path)
    tested = tree / "jurisdiction" / "uk" / "uk_test.rego"
    tested.write_text(tested.read_text().replace("admissible", "admitted"))
    (problem,) = found_by(tree)["evidence"]
    assert (problem.file, problem.code) == ("jurisdiction/uk", "")
    assert problem.message.startswith("its tests name no call that it admits (admissible)")


def test_calls_of_tests_that_are_no_facts_are_an_error(tmp_path: Path) -> None:
    tree = copy_policies(tmp_path)
    tested = tree / "jurisdiction" / "uk" / "uk_test.rego"
    tested.write_text(
        tested.read_text().replace('fixtures.within(["uk"], "finance"),', '{"now": ""},')
    )
    with pytest.raises(PolicyError, match=r"^the tests of uk call admissible what is no facts: "):
        found_by(tree)
