"""A world with the bindings that a reference configuration needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sidecar.core.predicates import MANIFEST
from tests.support.simulator.constants import APPROVERS, MODEL
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import manifest_predicate, sha, statement
from tests.support.simulator.world import World, parties_world

OPERATIONS = ["chat.completions", "converse", "messages"]


def world_of(
    provider: str, deployments: tuple[str, ...], operations: Sequence[str] = OPERATIONS
) -> World:
    """A world in which ``MODEL`` of this provider is admissible, by itself or as a deployment."""
    world = parties_world()
    world.join("provider", grant("provider", base_models=(f"{provider}/*",)))
    for name, granted in world.grants.items():
        world.grants[name] = tuple(replace(each, models=(f"{provider}/**",)) for each in granted)
    world.declare()
    predicate = manifest_predicate()
    (place,) = predicate["environments"]
    predicate["model"]["provider"] = provider
    predicate["environments"] = [{**place, "operations": list(operations)}]
    payload = statement(MANIFEST, MODEL, sha(f"job {MODEL}"), predicate)
    world.sign("manifest", payload, "producer")
    world.result()
    for role in APPROVERS:
        world.approve(role, operations=list(operations))
    for name in deployments:
        world.bind_deployment(name, provider=provider, label=f"binding of {name}")
    return world
