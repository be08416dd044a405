"""Law 8: a key change ends what it is meant to end, and nothing else."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from sidecar.core.reasons import Reason
from tests.support.simulator.constants import APPROVERS, CHILD, MODEL
from tests.support.simulator.keys import SimKey, envelope
from tests.support.simulator.world import World, admitted_world, tuned_on_world

PARTIES = (*APPROVERS, "evaluator", "producer")


def resign(world: World, name: str, old: SimKey) -> None:
    """Sign everything that ``old`` signed once more by the new key, over the same payload."""
    for label, data in world.evidence.items():
        found = json.loads(data)
        if found["signatures"][0]["keyid"] == old.fingerprint:
            payload = base64.b64decode(found["payload"])
            world.evidence[label] = envelope(payload, world.parties[name].key)


@pytest.mark.parametrize("name", PARTIES)
def test_case_11_a_retired_key_no_longer_agrees_and_resigning_is_enough(name: str) -> None:
    world = tuned_on_world()
    digests = dict(world.digests)
    old = world.parties[name].key
    world.parties[name].rotate()
    assert [world.ask(model).reason is None for model in (MODEL, CHILD)] == [False, False]
    resign(world, name, old)
    assert [world.ask(model).reason for model in (MODEL, CHILD)] == [None, None]
    assert digests == world.digests


@pytest.mark.parametrize("name", PARTIES)
def test_both_signatures_side_by_side_are_one_piece_of_evidence(name: str) -> None:
    world = admitted_world()
    before, old = dict(world.evidence), world.parties[name].key
    world.parties[name].rotate()
    resign(world, name, old)
    world.evidence.update({f"old:{label}": data for label, data in before.items()})
    assert world.ask().reason is None


def test_during_an_overlap_both_keys_agree() -> None:
    world = admitted_world()
    regulator = world.parties["regulator"]
    old, view = regulator.key, regulator.view()
    regulator.rotate()
    keys = [*regulator.view().document.keys]
    overlapping = [replace(key, status="active") for key in keys]
    assert {key.public_key().fingerprint for key in keys} == {
        old.fingerprint,
        regulator.key.fingerprint,
    }
    assert all(key.active for key in overlapping)
    assert view.document.keys[0] in overlapping


def test_a_retired_key_still_identifies_the_author_of_what_it_withdrew() -> None:
    world = admitted_world()
    regulator = world.parties["regulator"]
    renewed = world.approve("regulator", label="renewed", conditions=["x"])
    regulator.rotate()
    world.approve("regulator")
    older = world.digests["approval:regulator"]
    regulator.withdraw("approval", max(older, renewed))
    assert world.ask().reason in {Reason.WITHDRAWN, Reason.APPROVAL_MISSING}
