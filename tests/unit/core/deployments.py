"""A call to a deployment, and the worlds in which it is bound to something."""

from __future__ import annotations

from typing import Any

from sidecar.core.call import Call
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import BASE, DEPLOYMENT, OPERATION
from tests.support.simulator.world import World, admitted_world, refusal

CALL = Call("openai", OPERATION, (DEPLOYMENT,), deployments=(DEPLOYMENT,))


def deployed_world() -> World:
    world = admitted_world()
    world.bind_deployment()
    return world


def based_world() -> World:
    """The deployment runs a base model that the environment lists."""
    world = admitted_world()
    world.bind_deployment(model=BASE, manifest=None)
    return world


def told(world: World, call: Call = CALL, **changes: Any) -> tuple[Reason | None, int, str]:
    return refusal(world.put(call, **changes))


UNBOUND = (Reason.DEPLOYMENT_UNBOUND, 2, "no provider's binding of this deployment holds now")
