"""A call of a deployment and a base model, with every kind of evidence that facts are made of."""

from __future__ import annotations

from dataclasses import replace

from sidecar.core.call import Call
from tests.support.simulator.constants import APPROVERS, BASE, DEPLOYMENT, MODEL, OPERATION
from tests.support.simulator.predicates import sha, specification_predicate
from tests.support.simulator.world import World, parties_world

CALL = Call(
    "openai",
    OPERATION,
    (DEPLOYMENT, BASE),
    stream=True,
    modalities=("audio", "text"),
    tool_types=("function",),
    deployments=(DEPLOYMENT,),
)
CORPUS = {
    "role": "training",
    "name": "letters.jsonl",
    "digest": {"sha256": sha("letters")},
    "bytes": 2048,
    "records": 12,
    "classes": ["personal-data"],
}
DOCUMENT = {
    "kind": "technical-documentation",
    "name": "annex-iv.pdf",
    "digest": {"sha256": sha("annex")},
}


def deployed_world() -> World:
    """A deployment of a model with a specification, a document and two waivers."""
    world = parties_world()
    world.declare()
    specification = {"sha256": world.specify()}
    world.bind(
        corpora=[CORPUS],
        documents=[DOCUMENT],
        specification=specification,
        environments=specification_predicate()["environments"],
    )
    world.result()
    for role in APPROVERS:
        world.approve(role)
    world.bind_deployment()
    world.waive("eu.art10")
    world.waive("eu.art11", MODEL, world.digests["manifest"], "waiver:model")
    world.grants["provider"] = tuple(replace(g, of_record=True) for g in world.grants["provider"])
    return world
