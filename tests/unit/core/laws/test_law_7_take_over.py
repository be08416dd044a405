"""Law 7: a successor takes over when it is complete, and never gives back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sidecar.core import memory
from sidecar.core.memory import NOTHING, Takeover
from sidecar.core.reasons import Reason
from tests.support.simulator.constants import APPROVERS, ENV, MODEL
from tests.support.simulator.keys import SimKey
from tests.support.simulator.party import grant
from tests.support.simulator.predicates import window
from tests.support.simulator.world import World, admitted_world, refusal


def superseding(signer: str = "producer", **changes: Any) -> World:
    """An admitted model with a second manifest that nobody evaluated or approved yet."""
    world = admitted_world()
    supersedes = {"sha256": world.digests["manifest"]}
    world.bind("second", signer, **{"supersedes": supersedes, "window": window(5, 9), **changes})
    return world


def complete(world: World) -> World:
    world.result("second:result", manifest="second")
    for role in APPROVERS:
        world.approve(role, label=f"second:{role}", manifest="second")
    return world


def in_force(world: World) -> str | None:
    found = world.ask()
    assert found.reason is None
    (chain,) = found.chains
    return None if chain.manifest is None else chain.manifest.digest


def test_case_12_a_superseding_manifest_does_not_take_the_old_one_down_on_arrival() -> None:
    world = superseding()
    assert in_force(world) == world.digests["manifest"]
    world.result("second:result", manifest="second")
    for role in APPROVERS[:-1]:
        world.approve(role, label=f"second:{role}", manifest="second")
        assert in_force(world) == world.digests["manifest"]
    complete(world)
    assert in_force(world) == world.digests["second"]
    takeover = Takeover(world.digests["manifest"], world.digests["second"], ENV)
    assert world.memory.takeovers == (takeover,)


def test_a_result_counts_for_a_take_over_only_where_its_evaluator_may_evaluate() -> None:
    """A compliance suite of a jurisdiction, passed by an evaluator that is granted another one."""
    world = superseding()
    world.join("elsewhere", grant("evaluator", jurisdictions=("us",)))
    complete(world)
    world.result("second:result", manifest="second", signer="elsewhere")
    assert in_force(world) == world.digests["manifest"]
    assert world.memory.takeovers == ()


def test_a_successor_whose_file_is_lost_is_said_to_be_missing_not_the_older_one() -> None:
    world = complete(superseding())
    assert in_force(world) == world.digests["second"]
    del world.evidence["second"]
    lost = "every known manifest was superseded, and the successor is missing now"
    assert refusal(world.ask()) == (Reason.MANIFEST_MISSING, 2, lost)
    del world.evidence["manifest"]
    gone = "a manifest of it was known, and is missing now"
    assert refusal(world.ask()) == (Reason.MANIFEST_MISSING, 2, gone)


def replace_key(world: World) -> None:
    world.parties["producer"].key = SimKey.ed25519()
    world.bind()


LATER: dict[str, Callable[[World], object]] = {
    "it is withdrawn": lambda w: w.parties["regulator"].withdraw("manifest", w.digests["second"]),
    "it is lost": lambda w: w.evidence.pop("second"),
    "an approval of it is lost": lambda w: w.evidence.pop("second:regulator"),
    "its producer's key is replaced": replace_key,
    "it ended": lambda w: w.bind(
        "second", supersedes={"sha256": w.digests["manifest"]}, window=window(5, -1)
    ),
}


@pytest.mark.parametrize("later", LATER.values(), ids=LATER)
def test_case_12_the_older_one_never_returns(later: Callable[[World], object]) -> None:
    world = complete(superseding())
    assert in_force(world) == world.digests["second"]
    later(world)
    assert world.ask().reason is not None
    world.memory = memory.read(world.memory.write())
    assert world.ask().reason is not None


def chain_of_three(world: World) -> None:
    """A third manifest supersedes the second, which nobody completed and whose file is lost."""
    supersedes = {"sha256": world.digests["second"]}
    world.bind("third", supersedes=supersedes, window=window(4, 9))
    world.result("third:result", manifest="third")
    for role in APPROVERS:
        world.approve(role, label=f"third:{role}", manifest="third")


def test_a_lost_link_between_the_oldest_and_the_newest_is_remembered() -> None:
    world = superseding()
    assert in_force(world) == world.digests["manifest"]
    world.evidence.pop("second")
    assert in_force(world) == world.digests["manifest"]
    world.memory = memory.read(world.memory.write())
    chain_of_three(world)
    assert in_force(world) == world.digests["third"]
    superseded = {world.digests["manifest"], world.digests["second"]}
    assert {each.manifest for each in world.memory.takeovers} == superseded
    world.evidence.pop("third")
    assert world.ask().reason is Reason.MANIFEST_MISSING


def test_a_lost_link_by_a_producer_of_another_scope_supersedes_nothing() -> None:
    world = admitted_world()
    world.join("other", grant("producer", environments=("spiffe://other.example/**",)))
    supersedes = {"sha256": world.digests["manifest"]}
    world.bind("second", "other", supersedes=supersedes, window=window(5, 9))
    assert in_force(world) == world.digests["manifest"]
    world.evidence.pop("second")
    chain_of_three(world)
    assert in_force(world) == world.digests["third"]
    world.evidence.pop("third")
    assert in_force(world) == world.digests["manifest"]


def test_a_gate_that_forgot_would_fall_back_so_the_memory_is_handed_on() -> None:
    world = complete(superseding())
    assert in_force(world) == world.digests["second"]
    world.evidence.pop("second")
    assert world.ask().reason is Reason.MANIFEST_MISSING
    world.memory = NOTHING
    assert world.ask().reason is None


def test_case_12_a_producer_of_another_scope_supersedes_nothing() -> None:
    world = admitted_world()
    world.join("other", grant("producer", environments=("spiffe://other.example/**",)))
    supersedes = {"sha256": world.digests["manifest"]}
    world.bind("second", "other", supersedes=supersedes)
    complete(world)
    assert in_force(world) == world.digests["manifest"]


def test_a_manifest_of_another_model_supersedes_nothing() -> None:
    world, other = admitted_world(), "ft:gpt-4o-2024-08-06:acme:x:1"
    world.bind("second", supersedes={"sha256": world.digests["manifest"]}, model=other)
    world.result("second:result", manifest="second", model=other)
    for role in APPROVERS:
        world.approve(role, label=f"second:{role}", manifest="second", model=other)
    assert world.ask(other).reason is None
    assert in_force(world) == world.digests["manifest"]


def test_what_a_successor_supersedes_transitively_is_taken_over_with_it() -> None:
    world = superseding()
    world.bind("third", supersedes={"sha256": world.digests["second"]}, window=window(4, 9))
    world.result("third:result", manifest="third")
    for role in APPROVERS:
        world.approve(role, label=f"third:{role}", manifest="third")
    assert in_force(world) == world.digests["third"]
    superseded = {entry.manifest for entry in world.memory.takeovers}
    assert superseded == {world.digests["manifest"], world.digests["second"]}


def test_a_link_that_arrives_late_still_takes_the_oldest_one_out() -> None:
    world = superseding()
    middle = world.evidence.pop("second")
    world.bind("third", supersedes={"sha256": world.digests["second"]}, window=window(4, 9))
    world.result("third:result", manifest="third")
    for role in APPROVERS:
        world.approve(role, label=f"third:{role}", manifest="third")
    assert in_force(world) == world.digests["third"]
    world.evidence["second"] = middle
    assert in_force(world) == world.digests["third"]
    world.evidence.pop("third")
    assert world.ask().reason is not None


def test_one_that_is_unknown_or_by_somebody_else_ends_the_chain() -> None:
    world = superseding()
    world.bind(signer="stranger")
    complete(world)
    assert in_force(world) == world.digests["second"]


def test_an_environment_that_no_customer_declared_sees_no_take_over() -> None:
    world = complete(superseding())
    world.declare("spiffe://acme.example/env/lab", label="lab", signer="stranger")
    world.state()
    assert {entry.environment for entry in world.memory.takeovers} == {ENV}


def test_the_operator_may_change_grants_and_the_older_one_stays_out() -> None:
    world = complete(superseding())
    assert in_force(world) == world.digests["second"]
    world.join("tuner", grant("producer"))
    world.grants["producer"] = ()
    world.bind(signer="tuner")
    assert world.ask().reason is not None


def test_approvals_by_retired_keys_complete_a_successor_but_do_not_admit_it() -> None:
    world = complete(superseding())
    world.parties["regulator"].rotate()
    world.approve("regulator")
    assert world.ask(MODEL).reason is Reason.APPROVAL_MISSING
    assert len(world.memory.takeovers) == 1


def test_the_memory_is_the_same_object_while_nothing_is_new() -> None:
    world = complete(superseding())
    first = world.state().memory
    assert world.state().memory is first
