"""Evidence follows its files and its signers' keys, one change at a time."""

from __future__ import annotations

import base64
import hashlib
import json

from sidecar.core.evidence import Signer
from sidecar.core.predicates import APPROVAL
from sidecar.core.snapshot import Rejected
from sidecar.core.trust_state import Change
from tests.support.simulator.constants import DAY, NOW
from tests.support.simulator.predicates import window
from tests.support.simulator.steps import Steps
from tests.support.simulator.world import World, admitted_world


def approvals(steps: Steps) -> dict[str, tuple[str, ...]]:
    """Role of each approval, and the authorities that signed it."""
    return {
        item.predicate.role: tuple(signer.authority for signer in item.signers)
        for items in steps.state.approvals.values()
        for item in items
    }


def test_a_file_is_evidence_while_it_is_there() -> None:
    world = admitted_world()
    steps, data = Steps(world), world.evidence["approval:regulator"]
    before = approvals(steps)
    assert approvals(steps.remove(data)) == {
        role: who for role, who in before.items() if role != "regulator"
    }
    assert approvals(steps.add(data)) == before
    assert approvals(steps.remove(b"never there")) == before


def both_ways(world: World) -> tuple[bytes, bytes]:
    """One payload in two envelopes: by the regulator, and by the customer too."""
    one = world.evidence["approval:regulator"]
    payload = json.loads(one)["payload"]
    world.sign("both", base64.b64decode(payload), "regulator", "customer")
    return one, world.evidence.pop("both")


def test_a_payload_has_the_signers_of_all_its_files() -> None:
    world = admitted_world()
    one, both = both_ways(world)
    steps = Steps(world)
    assert approvals(steps)["regulator"] == ("regulator",)
    assert approvals(steps.add(both))["regulator"] == ("customer", "regulator")
    assert approvals(steps.remove(one))["regulator"] == ("customer", "regulator")
    assert approvals(steps.add(one).remove(both))["regulator"] == ("regulator",)


def test_files_of_one_payload_may_come_and_go_in_one_step() -> None:
    world = admitted_world()
    one, both = both_ways(world)
    steps = Steps(world)
    change = Change(added=(steps.file(both),), removed=(hashlib.sha256(one).hexdigest(),))
    assert approvals(steps.step(change))["regulator"] == ("customer", "regulator")
    steps.remove(both)
    steps.step(Change(added=(steps.file(one), steps.file(both))))  # new with both of them
    assert approvals(steps)["regulator"] == ("customer", "regulator")
    assert approvals(steps.remove(both))["regulator"] == ("regulator",)


def test_signers_of_one_file_each_are_taken_together() -> None:
    world = admitted_world()
    payload = base64.b64decode(json.loads(world.evidence["approval:regulator"])["payload"])
    files = []
    for party in ("customer", "provider"):
        world.sign("one", payload, party)
        files.append(world.evidence.pop("one"))
    assert approvals(Steps(world).add(*files))["regulator"] == ("customer", "provider", "regulator")


def test_what_the_signers_of_several_files_may_sign_is_taken_together() -> None:
    world = admitted_world()
    regulator = world.parties["regulator"]
    regulator.predicate_types = tuple(t for t in regulator.predicate_types if t != APPROVAL)
    one, both = both_ways(world)
    steps = Steps(world).publish("regulator")
    assert approvals(steps.add(both))["regulator"] == ("customer",)
    refused = Rejected(hashlib.sha256(one).hexdigest(), f"its signer may not sign {APPROVAL}")
    assert steps.state.rejected == (refused,)
    assert approvals(steps.remove(one))["regulator"] == ("customer",)
    assert not steps.state.rejected


def test_a_key_that_may_sign_a_type_no_more_takes_its_evidence_and_names_the_file() -> None:
    world = admitted_world()
    steps, regulator = Steps(world), world.parties["regulator"]
    types = regulator.predicate_types
    regulator.predicate_types = tuple(each for each in types if each != APPROVAL)
    file_digest = hashlib.sha256(world.evidence["approval:regulator"]).hexdigest()
    assert "regulator" not in approvals(steps.publish("regulator"))
    assert steps.state.rejected == (Rejected(file_digest, f"its signer may not sign {APPROVAL}"),)
    regulator.predicate_types = types
    assert approvals(steps.publish("regulator"))["regulator"] == ("regulator",)
    assert not steps.state.rejected


def test_an_authority_that_is_gone_signed_nothing_and_its_refused_files_may_go_too() -> None:
    world = admitted_world()
    steps = Steps(world)
    steps.step(Change({"regulator": None, "nobody granted": None}))
    assert "regulator" not in approvals(steps)
    assert "regulator" not in steps.state.authorities
    assert [signer for signer in steps.state.keys if signer.authority == "regulator"] == []
    assert [each.why for each in steps.state.rejected] == ["no key of a known authority signed it"]
    assert steps.remove(world.evidence["approval:regulator"]).state.rejected == ()


def test_what_a_change_does_not_touch_stays_the_same_object() -> None:
    world = admitted_world()
    steps = Steps(world)
    before = steps.state
    steps.remove(world.evidence["approval:regulator"])
    after = steps.state
    for name in ("manifests", "results", "environments", "keys", "withdrawals", "authorities"):
        assert getattr(after, name) is getattr(before, name), name
    assert len(before.approvals[world.digests["manifest"]]) == 3


def test_a_view_of_which_only_the_expiry_is_new_touches_that_view_alone() -> None:
    world = admitted_world()
    steps = Steps(world)
    before, party = steps.state, world.parties["regulator"]
    party.expires += DAY
    steps.publish("regulator")
    after = steps.state
    assert after.authorities["regulator"].expires == before.authorities["regulator"].expires + DAY
    assert after.authorities["customer"] is before.authorities["customer"]
    for name in ("manifests", "approvals", "keys", "withdrawals", "failures", "successors"):
        assert getattr(after, name) is getattr(before, name), name
    assert steps.publish("regulator").state.authorities is after.authorities


def test_a_new_window_of_a_key_changes_the_key_and_no_evidence() -> None:
    world = admitted_world()
    steps = Steps(world)
    before, party = steps.state, world.parties["regulator"]
    party.key_window = window(1, 1)
    record = steps.publish("regulator").state.keys[Signer("regulator", party.key.fingerprint)]
    assert record.window.not_after == NOW + DAY
    assert steps.state.approvals is before.approvals


def test_a_document_with_the_same_keys_changes_no_key() -> None:
    world = admitted_world()
    steps = Steps(world)
    before = steps.state
    world.parties["regulator"].trust_domains = [{"name": "office.example"}]
    steps.publish("regulator")
    assert steps.state.keys is before.keys
    assert steps.state.authorities["regulator"].domains[0].name == "office.example"
