"""Many adapted models in one world: five statements each, with real keys, made one at a time."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.simulator.constants import APPROVERS
from tests.support.simulator.predicates import suites
from tests.support.simulator.world import World, parties_world

STATEMENTS = 5
"""A manifest, its result, and an approval of each role."""


def model_name(number: int) -> str:
    return f"ft:gpt-4o-2024-08-06:acme:m{number:06}:{number:06}"


def declared_world() -> World:
    """The parties, and the environment in which every model is to be used."""
    world = parties_world()
    world.declare()
    return world


def statements(world: World, number: int) -> Iterator[bytes]:
    """Yield the envelopes that admit one model; ``world`` keeps none of them."""
    model = model_name(number)
    world.bind("m", model=model)
    yield world.evidence.pop("m")
    world.result("r", manifest="m", model=model, suites=suites())
    yield world.evidence.pop("r")
    for role in APPROVERS:
        world.approve(role, label="a", manifest="m", model=model)
        yield world.evidence.pop("a")
