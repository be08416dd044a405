"""Jobs that tune, and the world in which one may: for the tests of what comes of them."""

from __future__ import annotations

from typing import Any

from sidecar.core.call import Call
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import BASE
from tests.support.simulator.predicates import specification_predicate
from tests.support.simulator.world import World, admitted_world, refusal

TUNE = "fine_tuning.jobs.create"


def tuning_world() -> World:
    """The base model may be tuned, under the specification, and not called."""
    world = admitted_world()
    world.declare(baseModels=[], tuningModels=["openai/gpt-4o-*"])
    world.specify()
    return world


def job(world: World, *tuned: str, **changes: Any) -> Call:
    given = {"specification": world.digests["specification"], **changes}
    return Call("openai", TUNE, (), tuned=tuned or (BASE,), **given)


def told(world: World, call: Call | None = None, **changes: Any) -> tuple[Reason | None, int, str]:
    return refusal(world.put(job(world) if call is None else call, **changes))


def unverified(detail: str) -> tuple[Reason, int, str]:
    return (Reason.SPECIFICATION_UNVERIFIED, 3, detail)


def spec(**changes: Any) -> dict[str, Any]:
    return {**specification_predicate()["environments"][0], **changes}
