"""Thresholds and lists: described by a schema, and a denial where one is missing."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.opa import executable as program
from sidecar.opa.location import opa_path
from sidecar.policy import checks
from tests.process.policies.opa import POLICIES, copy_policies, rule_codes

PARAMS = {
    path.parent.name: json.loads(path.read_text())
    for path in sorted((POLICIES / "params").glob("*/data.json"))
}

# Every admissible call that the tests beside the rules name, under each of some data; and the
# packages that the call is held to. OPA reads what replaces `data` after it replaced `input`, so
# the data is made a value of its own before.
_ASKED = """
[answer |
    some name
    some facts in data.jurisdiction[name].admissible
    some spoilt in input
    params := object.union(spoilt.params, {})
    decision := data.admission.decision with input as facts with data.params as params
        with data.revision as "r-1"
    answer := {
        "of": trim_suffix(name, "_test"), "name": spoilt.name, "allow": decision.allow,
        "held": object.keys(decision.jurisdictions)}]
"""


def decisions(cases: dict[str, dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Put every admissible call to the policies under each of some data, by the data's name."""
    asked = folder / "cases.json"
    asked.write_text(json.dumps([{"name": n, "params": params} for n, params in cases.items()]))
    answer = program.run_json(
        opa_path(), "eval", "--bundle", POLICIES, "--input", asked, "--strict-builtin-errors",
        "--format", "json", _ASKED,
    )  # fmt: skip
    found: list[dict[str, Any]] = answer["result"][0]["expressions"][0]["value"]
    return found


def data(**changes: Any) -> dict[str, Any]:
    """The data of all packages, every rule brought forward; ``changes`` replace whole packages."""
    params = copy.deepcopy(PARAMS)
    params["admission"]["enforce_early"] = rule_codes(POLICIES)
    return {**params, **changes}


def absence_denies(folder: str, name: str) -> bool:
    """Whether the schema leaves an entry to deny where it is missing, as it does unless it says."""
    schema = json.loads((POLICIES / "schemas" / f"params.{folder}.schema.json").read_text())
    return bool(schema["properties"][name].get("x-absence-denies", True))


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


def test_every_package_names_calls_that_it_and_all_others_admit(tmp_path: Path) -> None:
    answers = decisions({"whole": data()}, tmp_path)
    assert [one for one in answers if not one["allow"]] == []
    packages = {path.name for path in (POLICIES / "jurisdiction").iterdir() if path.is_dir()}
    assert {one["of"] for one in answers if one["of"] in one["held"]} == packages


@pytest.mark.parametrize("spoil", [removed, null, emptied, as_a_map])
def test_a_threshold_or_list_that_is_missing_or_no_such_thing_denies(
    tmp_path: Path, spoil: Callable[[dict[str, Any], str], dict[str, Any]]
) -> None:
    whole = data()
    cases = {
        f"{folder}.{name}": {**whole, folder: spoil(whole[folder], name)}
        for folder in whole
        for name in whole[folder]
    }
    denied = {one["name"] for one in decisions(cases, tmp_path) if not one["allow"]}
    assert denied == {name for name in cases if absence_denies(*name.split("."))}


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


def test_what_a_removed_jurisdiction_leaves_behind_is_found(tmp_path: Path) -> None:
    tree = copy_policies(tmp_path)

    def found(*gone: str) -> dict[str, str]:
        for name in gone:
            path = tree / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return {one.file: one.message for one in checks.data_problems(opa_path(), tree)}

    unread = "there is no jurisdiction/uk, whose rules read it; remove it"
    assert found("jurisdiction/uk") == {
        "params/uk/data.json": unread,
        "schemas/params.uk.schema.json": unread,
    }
    assert found("params/uk") == {"schemas/params.uk.schema.json": unread}
    assert found("schemas/params.uk.schema.json") == {}
    assert found("jurisdiction/us-defense", "params/us-defense") == {
        "params/us/data.json": "sectors.defense: there is no jurisdiction/us-defense, so calls of "
        "this sector are denied; name null if nothing more is required there",
        "schemas/params.us-defense.schema.json": unread.replace("/uk", "/us-defense"),
    }
    us = "jurisdiction/us", "params/us", "schemas/params.us.schema.json"
    unheld = (
        "no jurisdiction's `sectors` names it, so no call is held to it; name it in "
        "params/<id>/data.json, or remove it"
    )
    assert found("schemas/params.us-defense.schema.json", *us) == {
        "jurisdiction/us-finance": unheld,
        "jurisdiction/us-healthcare": unheld,
    }
