"""Thresholds and lists: described by a schema, and a denial where one is missing."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.policy import checks
from sidecar.toolchain import opa_path
from tests.process.policies.opa import POLICIES, REVISION, copy_policies, enforce_all, opa
from tests.process.policies.test_decision import facts_in

PARAMS = sorted(path.parent.name for path in (POLICIES / "params").glob("*/data.json"))

# What bounds a warning, or the absence of which enforces more than the facts below break.
HARMLESS = {
    "admission.enforce_early",
    "admission.waiver_warning_days",
    "us.approval_warning_days",
}


def scenarios() -> list[dict[str, Any]]:
    """Admissible calls; each threshold and list decides at least one of them."""
    finance = facts_in("eu", "us", "uk")
    finance["environment"]["risk_class"] = "high"
    modified = copy.deepcopy(finance)
    modified["adaptations"][0]["declarations"].update(
        {"substantial-modification": "yes", "provider": "acme"}
    )
    modified["environment"]["declarations"].update(
        {"automated-decisions": "significant", "human-intervention": "appeals desk"}
    )
    health = facts_in("us")
    health["environment"]["sector"] = "healthcare"
    treated = copy.deepcopy(health)
    treated["environment"]["declarations"].update(
        {"phi": "yes", "business-associate-agreement": "BAA-3", "phi-purpose": "treatment"}
    )
    treated["adaptations"][0]["corpora"][0]["classes"] = ["phi", "minimum-necessary"]
    defense = facts_in("us")
    defense["environment"]["sector"] = "defense"
    weapon = copy.deepcopy(defense)
    weapon["environment"]["declarations"].update(
        {"weapon-function": "yes", "autonomy-review": "AR-9", "human-judgment": "operator"}
    )
    return [facts_in("eu"), finance, modified, health, treated, defense, weapon]


_EACH = "[allow | some facts in input; allow := data.admission.decision.allow with input as facts]"


def allowed(tree: Path, folder: Path) -> list[bool]:
    """What each scenario comes to under the policies of ``tree``."""
    question = folder / "scenarios.json"
    question.write_text(json.dumps(scenarios()))
    done = opa(
        "eval", "--bundle", tree, "--input", question, "--strict-builtin-errors",
        "--format", "json", _EACH,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    answers: list[bool] = json.loads(done.stdout)["result"][0]["expressions"][0]["value"]
    return answers


def removed(whole: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in whole.items() if key != name}


def null(whole: dict[str, Any], name: str) -> dict[str, Any]:
    return {**whole, name: None}


def emptied(whole: dict[str, Any], name: str) -> dict[str, Any]:
    """A list or map with nothing in it; a number has nothing to lose and goes."""
    value = whole[name]
    return (
        removed(whole, name) if isinstance(value, int | float) else {**whole, name: type(value)()}
    )


def as_a_map(whole: dict[str, Any], name: str) -> dict[str, Any]:
    """The same values under keys: ``in`` finds them there as well."""
    value = whole[name]
    values = value if isinstance(value, list) else [value]
    return {**whole, name: {f"k{place}": each for place, each in enumerate(values)}}


@pytest.mark.parametrize("spoil", [removed, null, emptied, as_a_map])
@pytest.mark.parametrize("folder", PARAMS)
def test_a_threshold_or_list_that_is_missing_or_no_such_thing_denies(
    tmp_path: Path, folder: str, spoil: Callable[[dict[str, Any], str], dict[str, Any]]
) -> None:
    tree = copy_policies(tmp_path)
    enforce_all(tree)
    (tree / "data.json").write_text(json.dumps({"revision": REVISION}))
    file = tree / "params" / folder / "data.json"
    whole = json.loads(file.read_text())
    assert allowed(tree, tmp_path) == [True] * len(scenarios())
    unmissed = set()
    for name in whole:
        file.write_text(json.dumps(spoil(whole, name)))
        if all(allowed(tree, tmp_path)):
            unmissed.add(f"{folder}.{name}")
    assert unmissed == {name for name in HARMLESS if name.split(".")[0] == folder}


def test_all_data_is_as_its_schema_says() -> None:
    assert checks.data_problems(opa_path(), POLICIES) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"adversarial_floor": "0.8"}, "adversarial_floor: Invalid type."),
        ({"adversarial_floor": 80}, "adversarial_floor: Must be less than or equal to 1"),
        ({"log_retention_days": 0}, "log_retention_days: Must be greater than or equal to 1"),
        ({"undeclared": []}, "undeclared: Array must have at least 1 items"),
        ({"undeclared": ["none", 7]}, "undeclared.1: Invalid type."),
        ({"denials": ["No"]}, "denials.0: Does not match pattern"),
        ({"sectors": {}}, "sectors: Must have at least 1 properties"),
        ({"sectors": {"finance": "us-finance"}}, "sectors.finance: Does not match pattern"),
        ({"sectors": {"finance": False}}, "sectors.finance: Invalid type."),
        ({"adversarial_flor": 0.8}, "(Root): Additional property adversarial_flor is not allowed"),
    ],
)
def test_data_that_is_not_as_its_schema_says_is_found(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    tree = copy_policies(tmp_path)
    file = tree / "params" / "eu" / "data.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    (problem,) = checks.data_problems(opa_path(), tree)
    assert problem.file == "params/eu/data.json"
    assert problem.message.startswith(told)


def test_a_missing_entry_and_a_missing_schema_are_found(tmp_path: Path) -> None:
    tree = copy_policies(tmp_path)
    file = tree / "params" / "uk" / "data.json"
    file.write_text(json.dumps(removed(json.loads(file.read_text()), "personal_data")))
    (tree / "schemas" / "params.us.schema.json").unlink()
    problems = checks.data_problems(opa_path(), tree)
    assert {(one.file, one.message) for one in problems} == {
        ("params/uk/data.json", "(Root): personal_data is required"),
        ("params/us/data.json", "there is no schemas/params.us.schema.json"),
    }
