"""What was read of a trust state decides whether an answer still holds under a newer one."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import settings

from sidecar.core.assess import assess
from sidecar.core.assessment import Assessment
from sidecar.core.call import Call
from sidecar.core.memory import read as read_memory
from sidecar.core.predicates import MANIFEST
from sidecar.core.reads import MEMBERS, TABLES, Reads, recording
from sidecar.core.reasons import Reason
from sidecar.core.snapshot import TrustState
from tests.support.simulator.constants import BASE, CHILD, DAY, DEPLOYMENT, MODEL, NOW, OPERATION
from tests.support.simulator.predicates import (
    manifest_predicate,
    sha,
    stamp,
    statement,
    suites,
    window,
)
from tests.support.simulator.world import World, admitted_world, credential, tuned_on_world


def recorded(
    state: TrustState, call: Call | None = None, now: datetime = NOW
) -> tuple[Assessment, Reads]:
    watched, reads = recording(state)
    asked = call or Call("openai", OPERATION, (MODEL,))
    caller = credential(expires=NOW + 30 * DAY)
    assessment = assess(asked, caller, watched, now)
    assert assessment == assess(asked, caller, state, now)
    return assessment, reads


def test_every_table_of_the_state_is_recorded_or_left_empty() -> None:
    apart = {"epoch", "operator", "authorities", "withdrawals", "memory", "rejected"}
    assert {*TABLES, *MEMBERS} | apart == {*TrustState.__slots__}
    watched, _ = recording(tuned_on_world().state(epoch=7))
    assert (watched.epoch, watched.memory.takeovers, watched.rejected) == (0, (), ())


def expire(world: World, at: datetime) -> None:
    world.parties["regulator"].expires = at


def unheard(world: World) -> None:
    world.parties["regulator"].heard_since_start = False


UNRELATED: dict[str, Callable[[World], Any]] = {
    "a heartbeat": lambda w: expire(w, NOW + 9 * DAY),
    "another model's manifest": lambda w: w.bind("other", model="ft:gpt-4o:acme:other"),
    "another environment": lambda w: w.declare("spiffe://acme.example/other", "other"),
    "a waiver of another environment": lambda w: w.waive("eu.rule", "spiffe://acme.example/other"),
    "a second withdrawal": lambda w: w.parties["regulator"].withdraw("corpus", "e" * 64),
    "junk": lambda w: w.evidence.update(junk=b"{}"),
}


@pytest.mark.parametrize("what", UNRELATED)
def test_what_was_not_read_may_change(what: str) -> None:
    world = admitted_world()
    world.parties["regulator"].withdraw("corpus", "f" * 64)
    before, reads = recorded(world.state())
    UNRELATED[what](world)
    after = world.state(epoch=2)
    assert before.admissible
    assert reads.unchanged(after, NOW)
    assert replace(recorded(after)[0], valid_until=before.valid_until) == before


RELATED: dict[str, Callable[[World], Any]] = {
    "the first withdrawal": lambda w: w.parties["customer"].withdraw("corpus", "e" * 64),
    "a withdrawal of the manifest": lambda w: w.parties["regulator"].withdraw(
        "manifest", w.digests["manifest"]
    ),
    "a withdrawal by pattern": lambda w: w.parties["regulator"].withdraw(
        "base-model", "openai/gpt-4o-*"
    ),
    "an announced withdrawal": lambda w: w.parties["regulator"].withdraw(
        "manifest", w.digests["manifest"], effective=NOW + DAY
    ),
    "a lost approval": lambda w: w.evidence.pop("approval:regulator"),
    "a new declaration": lambda w: w.declare(label="again", window=window(1, 30)),
    "a waiver": lambda w: w.waive("eu.rule"),
    "a published failure": lambda w: w.parties["evaluator"].fail(
        w.digests["manifest"], suites()[0]
    ),
    "a rotated key": lambda w: w.parties["producer"].rotate(),
    "a lost manifest": lambda w: w.evidence.pop("manifest"),
    "another grant": lambda w: setattr(w, "required_roles", ("auditor",)),
    "a shorter freshness": lambda w: expire(w, NOW + timedelta(hours=1)),
    "a view that was only loaded": unheard,
    "an authority that is gone": lambda w: w.parties.pop("regulator"),
}


@pytest.mark.parametrize("what", RELATED)
def test_what_was_read_may_not_change(what: str) -> None:
    world = admitted_world()
    world.parties["regulator"].withdraw("corpus", "f" * 64)
    before, reads = recorded(world.state())
    assert before.admissible
    RELATED[what](world)
    assert not reads.unchanged(world.state(epoch=2), NOW)


def test_the_same_state_is_unchanged_and_one_without_the_withdrawals_is_not() -> None:
    world = admitted_world()
    world.parties["customer"].withdraw("corpus", "e" * 64)
    state = world.state()
    _, reads = recorded(state)
    assert reads.unchanged(state, NOW)
    assert not reads.unchanged(replace(state, withdrawals={}), NOW)
    _, reads = recorded(replace(state, withdrawals={}))
    assert reads.unchanged(replace(state, withdrawals={}), NOW)


def test_what_was_missing_is_a_read_too() -> None:
    world = admitted_world()
    manifest = world.evidence.pop("manifest")
    world.memory = replace(read_memory(world.memory.write()), adapted=())
    before, reads = recorded(world.state())
    assert before.reason is Reason.MANIFEST_MISSING
    assert reads.unchanged(world.state(epoch=2), NOW)
    world.evidence["manifest"] = manifest
    assert not reads.unchanged(world.state(epoch=3), NOW)


def test_a_take_over_and_an_authority_heard_for_the_first_time_are_reads() -> None:
    world = admitted_world()
    regulator = world.parties.pop("regulator")
    before, reads = recorded(world.state())
    assert before.reason is not None
    assert reads.unchanged(world.state(epoch=2), NOW)
    world.parties["regulator"] = regulator
    assert not reads.unchanged(world.state(epoch=2), NOW)
    _, reads = recorded(world.state())
    state = world.state(epoch=3)
    taken = {(world.digests["manifest"], credential().spiffe_id)}
    assert reads.unchanged(replace(state, taken_over=frozenset({("f" * 64, "other")})), NOW)
    assert not reads.unchanged(replace(state, taken_over=frozenset(taken)), NOW)


def test_metadata_that_had_expired_is_not_the_same_once_it_is_fresh() -> None:
    world = admitted_world()
    expire(world, NOW + DAY)
    stale = NOW + 2 * DAY
    before, reads = recorded(world.state(), now=stale)
    assert before.reason is not None
    expire(world, NOW + 7 * DAY)
    after = world.state(epoch=2)
    assert not reads.unchanged(after, stale)
    assert reads.unchanged(after, NOW)  # at that time it was fresh, and still is


@pytest.mark.parametrize("name", [*TABLES, *MEMBERS, "authorities"])
def test_going_through_a_table_reads_all_of_it(name: str) -> None:
    world = tuned_on_world()
    state = world.state()
    for touch in (len, list):
        watched, reads = recording(state)
        touch(getattr(watched, name))
        assert reads.unchanged(state, NOW)
        assert reads.unchanged(replace(state, epoch=2), NOW)
        other: Any = frozenset({"x"}) if name in MEMBERS else {"x": ()}
        assert not reads.unchanged(replace(state, **{name: other}), NOW)


def test_withdrawals_are_looked_up_by_authority_and_nothing_else() -> None:
    watched, _ = recording(admitted_world().state())
    for touch in (len, list):
        with pytest.raises(NotImplementedError):
            touch(watched.withdrawals)
    with pytest.raises(KeyError):
        watched.keys["unknown"]  # type: ignore[index]
    with pytest.raises(KeyError):
        watched.withdrawals["unknown"]
    assert watched.keys.get("unknown", 1) == 1  # type: ignore[call-overload]


def test_the_next_change_is_the_first_instant_of_anything_that_was_read() -> None:
    world = admitted_world()
    _, reads = recorded(world.state())
    assert reads.next_change(NOW) == NOW + 7 * DAY  # where the authorities' metadata expires
    soon = NOW + timedelta(minutes=3)
    world.parties["regulator"].withdraw("manifest", world.digests["manifest"], effective=soon)
    _, reads = recorded(world.state(epoch=2))
    assert reads.next_change(NOW) == soon
    assert recording(world.state())[1].next_change(NOW) is None


def test_a_shutdown_and_what_a_whole_table_holds_are_instants() -> None:
    world = admitted_world()
    model = {"provider": "openai", "id": MODEL, "base": "gpt-4o-2024-08-06"}
    at = NOW + timedelta(minutes=1)
    manifest = {**manifest_predicate(), "model": {**model, "shutdown": stamp(at)}}
    world.sign("manifest", statement(MANIFEST, MODEL, sha("job"), manifest), "producer")
    watched, reads = recording(world.state())
    list(watched.manifests)
    list(watched.adapted)
    assert reads.next_change(NOW) == at
    before, _ = recorded(world.state(), Call("openai", OPERATION, (CHILD,)))
    assert before.reason is Reason.MANIFEST_MISSING


def test_a_deployment_reads_its_binding() -> None:
    world = admitted_world()
    world.bind_deployment()
    call = Call("openai", OPERATION, (DEPLOYMENT,), deployments=(DEPLOYMENT,))
    before, reads = recorded(world.state(), call)
    assert before.admissible
    assert reads.unchanged(world.state(epoch=2), NOW)
    world.bind_deployment(label="newer", window=window(0, 1))
    assert not reads.unchanged(world.state(epoch=3), NOW)


SIGNERS = {
    "environment": "customer",
    "manifest": "producer",
    "child": "producer",
    "result": "evaluator",
    "waiver": "regulator",
    "binding": "provider",
}
"""Who signs what; an approval has its author's name."""


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every key and item in a statement."""
    below = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in below:
        yield (*path, key)
        if isinstance(each, dict | list):
            yield from leaves(each, (*path, key))


def changed(value: Any, path: tuple[Any, ...], rng: Random) -> Any:
    """A statement in which one part is another, or missing."""
    made = copy.deepcopy(value)
    parent = made
    for key in path[:-1]:
        parent = parent[key]
    old = parent[path[-1]]
    others: list[Any] = [[], {}, "other", "us", "responses", CHILD, stamp(NOW + DAY), 0]
    if isinstance(old, list):
        others = [[], old[1:], old[:1] * 2, [*old, "us"]]
    elif isinstance(old, int | float):
        others = [old + 1, old / 2, 0]
    elif isinstance(old, str) and old.endswith("Z"):
        others = [stamp(NOW - DAY), stamp(NOW + DAY), stamp(NOW + timedelta(minutes=1))]
    parent[path[-1]] = rng.choice(others)
    if rng.random() < 0.2:
        del parent[path[-1]]
    return made


def test_whatever_part_of_a_statement_changes_no_other_answer_is_given_again() -> None:
    """Any part of any statement, by its path, so that no field is left out that comes later."""
    world, rng = tuned_on_world(), Random(1)
    world.waive("eu.rule")
    world.bind_deployment()
    calls = [
        Call("openai", OPERATION, (MODEL,)),
        Call("openai", OPERATION, (CHILD, BASE)),
        Call("openai", OPERATION, (DEPLOYMENT,), deployments=(DEPLOYMENT,)),
    ]
    before = [recorded(world.state(), call) for call in calls]
    assert all(found.admissible for found, _ in before)
    statements = {
        label: json.loads(base64.b64decode(json.loads(envelope)["payload"]))
        for label, envelope in world.evidence.items()
    }
    places = [(label, path) for label, value in statements.items() for path in leaves(value)]
    kept = ended = 0
    for label, path in rng.sample(places, 4 * settings().max_examples):
        other = replace(world, evidence=dict(world.evidence), digests=dict(world.digests))
        payload = json.dumps(changed(statements[label], path, rng)).encode()
        name = label.rpartition(":")[2]
        other.sign(label, payload, SIGNERS.get(name, name))
        state = other.state(epoch=2)
        for call, (found, reads) in zip(calls, before, strict=True):
            if not reads.unchanged(state, NOW):
                ended += 1
                continue
            kept += 1
            new = assess(call, credential(expires=NOW + 30 * DAY), state, NOW)
            assert replace(new, valid_until=found.valid_until) == found, (label, path)
    assert min(kept, ended) > 10
