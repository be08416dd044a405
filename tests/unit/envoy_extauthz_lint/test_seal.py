"""Where the seal can be relied on, what skips the gate is a warning; without it, an error."""

from __future__ import annotations

import dataclasses
import json

import pytest

from envoy_extauthz_lint import RULES, Severity
from envoy_extauthz_lint.finding import SEALED
from sidecar.cli.lint_options import lint_options
from tests.unit.envoy_extauthz_lint import mutations
from tests.unit.envoy_extauthz_lint.edit import SEAL, Edit, check, finding_lines
from tests.unit.envoy_extauthz_lint.mutations import CASES, Case, Change

SEALABLE = {rule.id for rule in RULES if rule.sealable}
BREAKS_THE_SEAL = [case for case in CASES if case.rule.startswith("seal-")]
ONLY_NAMELESS = "seal_without_the_name"
Severities = dict[tuple[str, str, str], Severity]


def severities(edit: Edit, case: Case) -> Severities:
    """The severity of each finding that is not about the seal, by rule, place and message."""
    return {
        (one.rule, one.where, one.message.removesuffix(SEALED)): one.severity
        for one in check(edit.text().encode(), case.options).findings
        if not one.rule.startswith("seal-")
    }


@pytest.mark.slow
def test_the_seal_changes_the_severity_of_what_skips_the_gate_and_of_nothing_else() -> None:
    softened: set[str] = set()
    wrong = []
    for case in CASES:
        if case.rule.startswith("seal-"):
            continue
        sealed, unsealed = Edit(case.base), Edit(case.base)
        case.change(sealed)
        case.change(unsealed)
        unsealed.unseal()
        with_seal, without = severities(sealed, case), severities(unsealed, case)
        for key in with_seal.keys() | without.keys():
            pair = (with_seal.get(key), without.get(key))
            if pair == (Severity.WARNING, Severity.ERROR) and key[0] in SEALABLE:
                softened.add(key[0])
            elif pair[0] is not pair[1]:
                wrong.append((case.id, key, pair))
    assert wrong == []
    # Nobody puts the seal, but not the gate, into the chain of an upgrade; see below.
    assert softened == SEALABLE - {"runtime-mutable", "bypass-upgrade-chain"}


@pytest.mark.parametrize("case", BREAKS_THE_SEAL, ids=lambda case: case.id)
def test_a_seal_with_any_fault_is_not_relied_on(case: Case) -> None:
    edit = Edit()
    case.change(edit)
    mutations.gate.fail_open(edit)
    (line,) = [line for line in edit.found() if " gate-fail-open " in line]
    softer = case.change.__name__ == ONLY_NAMELESS
    assert (line.startswith("warning"), line.endswith(SEALED)) == (softer, softer)


@pytest.mark.parametrize(
    "change",
    [
        mutations.order.lua_before,
        mutations.order.cached_before,
        mutations.unchecked.filter_from_elsewhere,
    ],
)
def test_behind_a_filter_that_could_forge_or_forward_the_seal_is_not_relied_on(
    change: Change,
) -> None:
    edit = Edit()
    change(edit)
    if change is mutations.unchecked.filter_from_elsewhere:
        edit.filters.insert(0, edit.filters.pop(edit.at + 2))
    mutations.gate.shadow(edit)
    assert [line for line in edit.found() if line.startswith("error gate-shadow")] != []


def test_a_route_without_the_seal_makes_the_gates_settings_errors_again() -> None:
    edit = Edit()
    mutations.gate.fail_open(edit)
    mutations.seal.seal_disabled_on_a_route(edit)
    assert [line.split(" ")[:2] for line in edit.found()] == [
        ["error", "gate-fail-open"],
        ["warning", "seal-disabled"],
    ]
    edit = Edit()
    mutations.bypass_unasked.disabled_on_a_route(edit)
    mutations.seal.seal_disabled_on_a_route(edit)
    assert {tuple(line.split(" ")[:2]) for line in edit.found()} == {
        ("error", "bypass-gate-disabled"),
        ("warning", "seal-disabled"),
    }


def test_routes_that_are_not_in_the_file_may_disable_the_seal() -> None:
    edit = Edit()
    mutations.gate.fail_open(edit)
    source = {"path_config_source": {"path": "/routes"}}
    edit.table["vhds"] = {"config_source": source}
    assert [line for line in edit.found() if line.startswith("error gate-fail-open")] != []
    del edit.manager["route_config"]
    edit.manager["rds"] = {"route_config_name": "a", "config_source": source}
    assert [line for line in edit.found() if line.startswith("error gate-fail-open")] != []


def test_a_runtime_key_of_the_gate_and_an_upgrade_are_covered_by_the_seal_too() -> None:
    edit = Edit()
    edit.gate["filter_enabled"]["runtime_key"] = "gate.enabled"
    edit.top["layered_runtime"] = {"layers": [{"name": "admin", "admin_layer": {}}]}
    found = {tuple(line.split(" ")[:2]) for line in edit.found()}
    edit.unseal()
    without = {tuple(line.split(" ")[:2]) for line in edit.found()}
    assert ("warning", "runtime-mutable") in found - without
    assert ("error", "runtime-mutable") in without - found
    edit = Edit()
    chain = [one for one in edit.filters if one["name"] == SEAL] + edit.filters[-1:]
    edit.manager["upgrade_configs"] = [{"upgrade_type": "websocket", "filters": chain}]
    (line,) = [line for line in edit.found() if "bypass-upgrade-chain" in line]
    assert line.startswith("warning")
    edit.manager["upgrade_configs"][0]["filters"] = edit.filters[-1:]
    (line,) = [line for line in edit.found() if "bypass-upgrade-chain" in line]
    assert line.startswith("error")


def test_the_deprecated_matcher_and_principals_are_a_seal_as_well() -> None:
    edit = Edit()
    mutations.gate.fail_open(edit)
    expected = edit.found()
    policy = edit.seal["rules"]["policies"]["admitted"]
    matchers = [one["sourced_metadata"]["metadata_matcher"] for one in mutations.seal.rules(edit)]
    policy["permissions"] = [{"any": True}]
    policy["principals"] = [{"and_ids": {"ids": [{"metadata": one} for one in matchers]}}]
    assert edit.found() == expected
    policy["principals"].append({"any": True})
    assert edit.found() != expected


def test_a_gate_that_sets_no_metadata_is_asked_for_no_seal() -> None:
    edit = Edit()
    edit.unseal()
    assert finding_lines(json.dumps(edit.top)) != []
    options = dataclasses.replace(lint_options(), seal_keys=())
    assert edit.found(options) == []
