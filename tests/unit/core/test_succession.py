"""A manifest is complete once its results and approvals exist as signed."""

from __future__ import annotations

import pytest

from sidecar.core.floors import effective_environment
from sidecar.core.succession import complete, required_roles
from tests.support.simulator.constants import APPROVERS, ENV
from tests.support.simulator.party import grant
from tests.support.simulator.world import World, admitted_world


def is_complete(world: World) -> bool:
    state = world.state()
    (declared,) = state.environments[ENV]
    (item,) = state.manifests_by_digest.values()
    return complete(state, effective_environment(state.operator, declared), item)


def test_an_admitted_model_is_complete_and_needs_every_role() -> None:
    world = admitted_world()
    state = world.state()
    (declared,) = state.environments[ENV]
    (item,) = state.manifests_by_digest.values()
    roles = required_roles(state, effective_environment(state.operator, declared), item)
    assert is_complete(world)
    assert set(APPROVERS) <= roles | {"regulator"}


@pytest.mark.parametrize("label", ["result", *(f"approval:{role}" for role in APPROVERS)])
def test_without_any_one_statement_it_is_not(label: str) -> None:
    world = admitted_world()
    del world.evidence[label]
    assert not is_complete(world)


def test_an_approval_by_a_regulator_of_another_jurisdiction_does_not_complete_it() -> None:
    world = admitted_world()
    world.grants["regulator"] = (grant("regulator", jurisdictions=("us",)),)
    assert not is_complete(world)
