"""Step 5: each required role, for each jurisdiction where it is the regulator's, or its name."""

from __future__ import annotations

import pytest

from sidecar.core.approvals import Requirement
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import APPROVERS
from tests.support.simulator.predicates import window
from tests.support.simulator.world import World, admitted_world


def fifth(world: World) -> tuple[Reason | None, str]:
    """The finding of step 5."""
    (finding,) = (each for each in world.ask().findings if each.step == 5)
    return finding.reason, finding.detail


def test_a_requirement_is_written_with_its_jurisdiction() -> None:
    assert [str(Requirement("provider", "")), str(Requirement("regulator", "eu"))] == [
        "provider",
        "regulator for eu",
    ]


@pytest.mark.parametrize("role", APPROVERS)
def test_each_role_that_is_missing_is_named(role: str) -> None:
    world = admitted_world()
    world.evidence = {
        label: data for label, data in world.evidence.items() if label != f"approval:{role}"
    }
    reason, detail = fifth(world)
    assert (reason, role in detail) == (Reason.APPROVAL_MISSING, True)


def test_an_approval_outside_its_window_or_for_another_operation_does_not_count() -> None:
    found = []
    for changes in ({"window": window(20, -1)}, {"operations": ["embeddings"]}):
        world = admitted_world()
        world.approve("regulator", **changes)
        found.append(fifth(world)[0])
    assert found == [Reason.APPROVAL_NOT_IN_WINDOW, Reason.APPROVAL_OUT_OF_SCOPE]
