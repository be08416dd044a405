"""A gate's status names the grants by which an authority can object to nothing."""

from __future__ import annotations

from sidecar.service.status import LastIdle
from tests.support.simulator.constants import ENV
from tests.support.simulator.party import grant
from tests.support.simulator.world import admitted_world


def test_law_1_an_authority_that_objects_to_no_declared_environment_is_named() -> None:
    world = admitted_world()
    (stranger,) = LastIdle().of(world.state())  # who is granted another trust domain
    world.join("council", grant("works-council", environments=(f"{ENV}x",)))
    found = {
        "authority": "council",
        "grant": 0,
        "why": f"environments: '{ENV}x' matches no declared environment",
    }
    assert LastIdle().of(world.state()) == [stranger, found]
