"""What the seal makes a warning reaches no provider: each such change, run in real Envoy.

Without the seal the same changes let requests pass, which `test_proofs` shows of the gravest.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from envoy_extauthz_lint.finding import SEALED
from tests.process.envoy_extauthz_lint.wired import wire
from tests.unit.envoy_extauthz_lint.edit import Edit
from tests.unit.envoy_extauthz_lint.mutations import CASES, Case
from tests.unit.envoy_extauthz_lint.mutations.case import known_findings

UNSTARTABLE = {"disabled_inside_a_tree_of_matchers"}
"""Envoy refuses a virtual host that has both a matcher and routes."""
HARMLESS = [
    case
    for case in CASES
    if any(line.endswith(SEALED) for line in known_findings()[case.id])
    and case.change.__name__ not in UNSTARTABLE
]


def test_there_are_such_changes_of_gate_and_routes() -> None:
    rules = {case.rule for case in HARMLESS}
    assert rules >= {"gate-fail-open", "gate-shadow", "bypass-without-gate", "bypass-gate-disabled"}


@pytest.mark.parametrize("case", HARMLESS, ids=lambda case: case.id)
def test_a_change_that_the_seal_makes_a_warning_reaches_no_provider(
    tmp_path: Path, case: Case
) -> None:
    edit = Edit(case.base)
    case.change(edit)
    with wire(edit, tmp_path) as wired:
        statuses = [wired.send().status]
        wired.gate.stop()
        statuses.append(wired.send().status)
        assert (wired.provider.received, wired.other.received) == ([], [])
        assert min(statuses) >= 400
