"""A take-over and a lineage are found from whichever statement comes last."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping

import pytest

from sidecar.core.documents import WithdrawalKind
from sidecar.core.grants import Grant
from sidecar.core.memory import LineageNode, Takeover
from sidecar.core.predicates import MANIFEST
from tests.support.simulator.constants import APPROVERS, ENV, MODEL
from tests.support.simulator.predicates import manifest_predicate, sha, statement, window
from tests.support.simulator.steps import Steps
from tests.support.simulator.world import World, admitted_world, tuned_on_world

OTHER = "ft:gpt-4o-2024-08-06:acme:other:1"
LATE = ("second", "second:result", "second:customer", "environment")


def superseded(environments: tuple[str, ...] = ("spiffe://acme.example/env/*",)) -> World:
    """A model whose manifest is superseded, and everything of the second one."""
    world = admitted_world()
    declared = [{**spec, "id": each} for each in environments for spec in manifest_environments()]
    supersedes = {"sha256": world.digests["manifest"]}
    world.bind("second", supersedes=supersedes, environments=declared)
    world.result("second:result", manifest="second")
    for role in APPROVERS:
        world.approve(role, label=f"second:{role}", manifest="second")
    return world


def manifest_environments() -> list[dict[str, object]]:
    found: list[dict[str, object]] = manifest_predicate()["environments"]
    return found


def takeover(world: World) -> tuple[Takeover, ...]:
    return (Takeover(world.digests["manifest"], world.digests["second"], ENV),)


@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize("pattern", ["spiffe://acme.example/env/*", ENV])
def test_a_successor_takes_over_with_whatever_comes_last(late: str, pattern: str) -> None:
    world = superseded((pattern,))
    data = world.evidence.pop(late)
    steps = Steps(world)
    assert steps.state.memory.takeovers == ()
    steps.add(data)
    assert steps.state.memory.takeovers == takeover(world)
    assert (world.digests["manifest"], ENV) in steps.state.taken_over
    steps.remove(data, world.evidence["manifest"])
    assert steps.state.memory.takeovers == takeover(world)


def test_what_was_signed_about_a_successor_before_it_came_is_in_its_lineage() -> None:
    world = superseded()
    late = world.evidence.pop("second")
    steps = Steps(world)
    assert world.digests["second"] not in steps.state.statements
    steps.add(late)
    about = ("second:result", *(f"second:{role}" for role in APPROVERS))
    found = {node.subject for node in steps.state.statements[world.digests["second"]]}
    assert found == {world.digests[label] for label in about}


def test_the_order_of_all_five_does_not_matter() -> None:
    world = superseded()
    held = [world.evidence.pop(label) for label in (*LATE, "manifest")]
    for order in itertools.islice(itertools.permutations(held), 0, None, 7):
        steps = Steps(world)
        for data in order:
            steps.add(data)
        assert steps.state.memory.takeovers == takeover(world)


def test_a_renewed_declaration_alone_judges_nothing_anew() -> None:
    world = superseded()
    steps = Steps(world)
    before = steps.state.taken_over
    world.declare(label="again", purpose="another")
    world.declare("spiffe://acme.example/other", label="elsewhere")
    steps.add(world.evidence["again"], world.evidence["elsewhere"])
    assert set(steps.state.taken_over) == set(before)


def test_an_environment_that_no_customer_may_declare_is_none() -> None:
    world = superseded()
    steps = Steps(world)
    world.declare("spiffe://acme.example/env/two", label="two", signer="stranger")
    steps.add(world.evidence["two"])
    assert steps.state.memory.takeovers == takeover(world)


def test_a_successor_of_another_model_takes_over_once_the_other_is_not_known() -> None:
    """What a manifest of another model supersedes is not its to supersede, while that is known."""
    world = admitted_world()
    world.bind("second", supersedes={"sha256": world.digests["manifest"]}, model=OTHER)
    world.result("second:result", manifest="second", model=OTHER)
    for role in APPROVERS:
        world.approve(role, label=f"second:{role}", manifest="second", model=OTHER)
    steps = Steps(world)
    assert steps.state.memory.takeovers == ()
    steps.remove(world.evidence["manifest"])
    assert steps.state.memory.takeovers == takeover(world)


def test_the_chain_ends_at_a_manifest_that_no_granted_producer_signed() -> None:
    world = superseded()
    third = {"sha256": world.digests["second"]}
    world.sign("second", _payload(world, "second"), "stranger")
    world.bind("third", supersedes=third, window=window(4, 9))
    world.result("third:result", manifest="third")
    for role in APPROVERS:
        world.approve(role, label=f"third:{role}", manifest="third")
    found = {each.manifest for each in Steps(world).state.memory.takeovers}
    assert found == {world.digests["second"]}


def _payload(world: World, label: str) -> bytes:
    return base64.b64decode(json.loads(world.evidence[label])["payload"])


def test_what_a_successor_names_grows_with_its_parents() -> None:
    """A parent that is known later adds its corpora to what is remembered of the child's line."""
    world = tuned_on_world()
    model = {
        "provider": "openai",
        "id": OTHER,
        "base": MODEL,
        "parent": {"sha256": world.digests["manifest"]},
    }
    world.bind("line", model=OTHER)
    parent = world.evidence.pop("manifest")
    _bind(world, "next", model, world.digests["line"])
    steps = Steps(world)
    (few,) = steps.state.memory.successors
    (many,) = steps.add(parent).state.memory.successors
    assert set(few.nodes) < set(many.nodes)
    assert steps.remove(parent).state.memory.successors == (many,)


def _bind(world: World, label: str, model: Mapping[str, object], superseded: str) -> None:
    predicate = {
        **manifest_predicate(model=OTHER),
        "model": model,
        "supersedes": {"sha256": superseded},
    }
    world.sign(label, statement(MANIFEST, OTHER, sha("job"), predicate), "producer")


def test_what_a_successor_names_grows_with_the_specifications_that_its_own_extends() -> None:
    """The one in the middle comes last: by it, what it extends in turn is reached."""
    world = admitted_world()
    first = world.specify("first")
    middle = world.specify("middle", extends={"sha256": first})
    last = world.specify("last", extends={"sha256": middle})
    supersedes = {"sha256": world.digests["manifest"]}
    world.bind("second", supersedes=supersedes, specification={"sha256": last})
    late = world.evidence.pop("middle")
    steps = Steps(world)
    named = LineageNode(WithdrawalKind.SPECIFICATION, first)
    assert named not in steps.state.memory.successors[0].nodes
    assert named in steps.add(late).state.memory.successors[0].nodes


def test_statements_about_a_parent_are_remembered_when_the_child_comes_later() -> None:
    world = tuned_on_world()
    child = world.evidence.pop("child")
    steps = Steps(world)
    before = steps.state.memory
    assert before.statements == ()
    steps.add(child)
    (about,) = steps.state.memory.statements
    assert (about.manifest, len(about.nodes)) == (world.digests["manifest"], 4)
    gone = world.evidence["approval:regulator"]
    assert steps.remove(gone, child).state.memory.statements == (about,)


def test_an_announced_successor_is_listed_beside_the_remembered_ones() -> None:
    world = superseded()
    steps = Steps(world)
    manifest, producer = world.digests["manifest"], world.parties["producer"]
    (known,) = steps.state.successors[manifest]
    producer.supersessions = [{"manifest": manifest, "by": "f" * 64}]
    entries = steps.publish("producer").state.successors[manifest]
    assert [(entry.manifest, entry.by) for entry in entries] == [
        (manifest, known.by),
        (manifest, "f" * 64),
    ]
    producer.supersessions = []
    assert steps.publish("producer").state.successors[manifest] == (known,)


def test_a_producer_that_is_granted_other_models_supersedes_nothing() -> None:
    world = superseded()
    world.grants["producer"] = (Grant("producer", ("**",), ("**",), ("openai/other",), ("**",)),)
    state = Steps(world).state
    assert (state.memory.successors, state.memory.adapted) == ((), ())
