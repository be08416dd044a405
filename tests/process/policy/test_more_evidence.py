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


RENEWED = """
# METADATA
# title: Only so long, and only so much
# description: Which a renewal exceeds.
# custom:
#   code: uk.only_so_much
#   citation: None
#   remedy: None
#   term: deployments[]
#   effective_on: "2026-01-01"
#   state: enforced
deny contains violation.new(rego.metadata.rule(), deployment.name, "no") if {
	some deployment in input.deployments
	not so_much(deployment)
}

so_much(deployment) if {
	deployment.not_after < "2030-01-01T00:00:00Z"
	count(deployment.declarations) < 2
	not input.environment.declarations["declared-by-a-renewal"]
}
"""
BOUND = """json.patch(fixtures.within(["uk"], "finance"), [{
		"op": "replace", "path": "/deployments", "value": [{
			"name": "chat", "model": "m", "authority": "azure", "of_record": false,
			"not_after": "2026-12-01T00:00:00Z", "declarations": {"sku": "Standard"},
		}],
	}]),"""


def test_a_rule_that_denies_for_a_renewal_is_found(tmp_path: Path) -> None:
    tree = copy_policies(tmp_path)
    rules_file = tree / "jurisdiction" / "uk" / "uk.rego"
    rules_file.write_text(rules_file.read_text() + RENEWED)
    tested = rules_file.with_name("uk_test.rego")
    before = tested.read_text()
    sample = 'fixtures.within(["uk"], "finance"),'
    assert before.count(sample) == 1
    tested.write_text(
        before.replace(sample, BOUND)
        + '\ntest_only_so_much if {\n\tcodes(fixtures.facts) != {"uk.only_so_much"}\n}\n'
    )
    problems = found_by(tree)["evidence"]
    assert {one.code for one in problems} == {"uk.only_so_much"}
    found = " ".join(one.message for one in problems)
    assert "a renewed binding of chat that ends later" in found
    assert "a renewed binding of chat that declares one thing more" in found
    assert "a renewed declaration of its environment that declares one thing more" in found


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
    with pytest.raises(PolicyError, match=r"^the tests of uk call admissible what are not facts: "):
        found_by(tree)
