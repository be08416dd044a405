"""The lint over the real sources: clean as they are, and each kind of carelessness is found.

A changed package is linted without the others: all of them together are the first test's.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.opa.location import opa_path
from sidecar.policy import checks
from sidecar.policy.checks import Problem
from tests.process.policies.opa import POLICIES

RULES = "jurisdiction/eu-finance/eu-finance.rego"
TESTS = "jurisdiction/eu-finance/eu-finance_test.rego"
CODE = "eu-finance.dora_register"


def replaced(file: str, old: str, new: str) -> Callable[[Path], None]:
    """A change of one file below the tree."""

    def change(tree: Path) -> None:
        text = (tree / file).read_text()
        assert old in text
        (tree / file).write_text(text.replace(old, new))

    return change


def unannotated(tree: Path) -> None:
    """Take the METADATA marker from the rule, which makes its annotation an ordinary comment."""
    replaced(RULES, "# METADATA\n# title: The provider is in", "# title: The provider is in")(tree)


def added(tree: Path) -> None:
    """A second file of the package with a rule that says nothing."""
    (tree / "jurisdiction/eu-finance/more.rego").write_text(
        'package jurisdiction["eu-finance"]\n\ndeny contains "no" if input.now\n'
    )


MISSING = {"title", "description", *(f"custom.{name}" for name in (
    "code", "citation", "remedy", "term", "effective_on", "state"
))}  # fmt: skip

ABSENCE = (
    "write a helper that holds when all is well, and deny if not helper: what is missing would pass"
)
FIRM = (
    "a rule that denies holds only: some … in the facts, not helper, message := text of what is in"
    " every call's facts"
)

CASES: dict[str, tuple[Callable[[Path], None], set[tuple[str, str]]]] = {
    "no title": (
        replaced(RULES, "# title: The provider is in the register of ICT contracts\n", ""),
        {(CODE, "the rule has no title")},
    ),
    "no citation": (
        replaced(RULES, "#   citation: Regulation (EU) 2022/2554 (DORA), Article 28(3)\n", ""),
        {(CODE, "the rule has no custom.citation")},
    ),
    "no code": (
        replaced(RULES, f"#   code: {CODE}\n", ""),
        {("", "the rule has no custom.code")},
    ),
    "no remedy": (
        replaced(RULES, "#   remedy: Enter the contract", "#   remedie: Enter the contract"),
        {(CODE, "the rule has no custom.remedy"), (CODE, "custom.remedie means nothing")},
    ),
    "a date without quotes": (
        replaced(RULES, '"2025-01-17"', "2025-01-17"),
        {(CODE, "effective_on is no date in quotes: 2025-01-17T00:00:00Z")},
    ),
    "a day that there was not": (
        replaced(RULES, '"2025-01-17"', '"2025-02-30"'),
        {(CODE, "effective_on is no date in quotes: 2025-02-30")},
    ),
    "a state nobody knows": (
        replaced(RULES, '"2025-01-17"\n#   state: enforced', '"2025-01-17"\n#   state: off'),
        {(CODE, "state is neither enforced nor shadow: off")},
    ),
    "no test": (
        replaced(TESTS, CODE, "eu-finance.other"),
        {(CODE, "no test beside the rule names its code")},
    ),
    "a code twice": (
        replaced(RULES, "#   code: eu-finance.model_risk_sign_off", f"#   code: {CODE}"),
        {(CODE, "the code is used by another rule")},
    ),
    "another package's code": (
        replaced(RULES, f"#   code: {CODE}", "#   code: eu.dora_register"),
        {
            (
                "eu.dora_register",
                "the code is not eu-finance.<name>, in lower case, digits and underscores",
            ),
            ("eu.dora_register", "no test beside the rule names its code"),
        },
    ),
    "no annotation": (unannotated, {("", f"the rule has no {name}") for name in MISSING}),
    "no id": (
        replaced(RULES, 'id := "eu-finance"', 'name := "eu-finance"'),
        {("", 'package jurisdiction.eu-finance has no rule id := "eu-finance"')},
    ),
    "a violation from elsewhere": (
        replaced(
            RULES,
            "violation.new(rego.metadata.rule(), input.environment.id, message)",
            "violation.new({}, input.environment.id, message)",
        ),
        {
            (
                CODE,
                "write: deny contains violation.new(rego.metadata.rule(), subject, message) if",
            )
        },
    ),
    "a rule that says nothing": (
        added,
        {("", f"the rule has no {name}") for name in MISSING}
        | {("", "write: deny contains violation.new(rego.metadata.rule(), subject, message) if")}
        | {("", ABSENCE), ("", FIRM)},
    ),
    "an argument that may be undefined after not": (
        replaced(RULES, "not registered", "not facts.declared(input.environment.owner, params.no)"),
        {("", "after not only a helper with plain names or literals as arguments")},
    ),
    "an argument after not that is a rule": (
        replaced(RULES, "not registered", "not facts.declared(registered, registered)"),
        {("", "after not only a helper with plain names or literals as arguments")},
    ),
    "a message of what may be missing": (
        replaced(
            RULES,
            'message := "the environment declares no reference',
            "text := input.environment.declarations.text\n\t"
            'message := "the environment declares no reference',
        ),
        {(CODE, FIRM)},
    ),
    "a subject that may be missing": (
        replaced(
            RULES,
            "violation.new(rego.metadata.rule(), input.environment.id, message)",
            "violation.new(rego.metadata.rule(), params.subject, message)",
        ),
        {
            (
                CODE,
                "subject and message must be in every call's facts: where one is missing,"
                " the rule does not deny",
            )
        },
    ),
    "a rule that denies what is bad": (
        replaced(RULES, "not registered", 'input.environment.declarations.register == "none"'),
        {(CODE, ABSENCE), (CODE, FIRM)},
    ),
    "a helper that holds because something is not there": (
        replaced(RULES, "registered if facts", "registered if not facts"),
        {
            ("", "not stands in deny and warn only: a helper shows what holds, not what does not"),
            ("", "after not only a helper with plain names or literals as arguments"),
        },
    ),
    "a helper that holds by default": (
        replaced(RULES, "registered if facts", "default registered := true\n\nregistered if facts"),
        {("", "a default is false: what is not shown does not hold")},
    ),
    "other facts than the call's": (
        replaced(RULES, "not registered", "not registered with input as {}"),
        {("", "with belongs in tests: a rule reads the facts as they are")},
    ),
}


def judged(modules: dict[str, Any]) -> list[Problem]:
    return checks.lint_problems(opa_path(), modules, POLICIES / checks.LINT)


def test_the_policies_are_clean() -> None:
    assert judged(checks.parsed(opa_path(), POLICIES)) == []


@pytest.mark.parametrize("case", CASES)
def test_each_kind_of_carelessness_is_found(tmp_path: Path, case: str) -> None:
    change, expected = CASES[case]
    package = Path(RULES).parent
    shutil.copytree(POLICIES / package, tmp_path / package)
    change(tmp_path)
    found = judged(checks.parsed(opa_path(), tmp_path))
    assert {(one.code, one.message) for one in found} == expected
    assert all(one.file.startswith(f"{package}/") for one in found)
    assert all(one.row > 0 for one in found)
