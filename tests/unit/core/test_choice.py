"""Evaluators and approvers are chosen together: whoever is needed for one is left to it."""

from __future__ import annotations

from tests.support.simulator.party import grant
from tests.support.simulator.predicates import window
from tests.support.simulator.world import admitted_world


def test_a_regulator_that_also_evaluated_is_kept_for_its_approval() -> None:
    world = admitted_world()
    world.grants["regulator"] = (*world.grants["regulator"], grant("evaluator"))
    world.result("longer", signer="regulator", window=window(1, 60))
    found = world.ask()
    assert found.reason is None
    (chain,) = found.chains
    assert {suite.signer.authority for suite in chain.suites} == {"evaluator"}
    approving = {entry.role: entry.signer.authority for entry in chain.approvals}
    assert approving["regulator"] == "regulator"
