"""Only what a known key signed, and may sign, exists in a trust state."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from sidecar.core import trust_state
from sidecar.core.evidence import APPROVAL, MANIFEST, RESULT, Signer
from sidecar.core.trust_state import Rejected, SignatureCache, build
from tests.simulator.keys import SimKey, envelope
from tests.simulator.world import (
    MODEL,
    NOW,
    admitted_world,
    approval_predicate,
    manifest_predicate,
    sha,
    statement,
    window,
)


def file_digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_evidence_of_an_unknown_key_is_rejected_and_named() -> None:
    world = admitted_world()
    payload = statement(MANIFEST, MODEL, sha("job"), manifest_predicate())
    world.evidence = {"forged": envelope(payload, SimKey.ed25519())}
    state = world.state()
    assert dict(state.manifests) == {}
    assert state.rejected == (
        Rejected(file_digest(world.evidence["forged"]), "no key of a known authority signed it"),
    )


def test_a_key_counts_only_for_the_predicate_types_its_authority_lists() -> None:
    world = admitted_world()
    world.parties["producer"].predicate_types = (APPROVAL, RESULT)
    state = world.state()
    assert dict(state.manifests) == {}
    assert state.rejected == (
        Rejected(file_digest(world.evidence["manifest"]), f"its signer may not sign {MANIFEST}"),
    )


def test_an_authority_the_operator_does_not_name_does_not_exist() -> None:
    world = admitted_world()
    del world.grants["producer"]
    state = world.state()
    assert "producer" not in state.authorities
    assert dict(state.manifests) == {}


def test_bad_files_are_set_aside_and_the_rest_still_counts() -> None:
    world = admitted_world()
    world.evidence["junk"] = b"not json"
    state = world.state()
    assert state.rejected == (
        Rejected(file_digest(b"not json"), "envelope: not JSON: Expecting value at character 0"),
    )
    assert len(state.manifests["openai", MODEL]) == 1


def test_one_payload_in_two_envelopes_is_one_piece_of_evidence() -> None:
    world = admitted_world()
    payload = statement(APPROVAL, MODEL, world.digests["manifest"], approval_predicate("customer"))
    world.sign("approval:customer", payload, "customer")
    world.sign("again", payload, "stranger")
    (item,) = (
        found
        for found in world.state().approvals[world.digests["manifest"]]
        if found.digest == world.digests["again"]
    )
    assert item.signers == (
        Signer("customer", world.parties["customer"].key.fingerprint),
        Signer("stranger", world.parties["stranger"].key.fingerprint),
    )


def test_the_order_of_files_does_not_matter() -> None:
    world = admitted_world()
    views = [party.view() for party in world.parties.values()]

    def built(files: list[bytes]) -> object:
        return build(epoch=1, operator=world.operator(), views=views, evidence=files)

    files = list(world.evidence.values())
    assert built(files) == built(files[::-1] + files)


def test_a_superseded_manifest_gives_way_to_the_one_that_replaces_it() -> None:
    world = admitted_world()
    first = world.digests["manifest"]
    second = world.bind("second", supersedes={"sha256": first}, window=window(5, 5))
    found = world.state().unsuperseded("openai", MODEL)
    assert tuple(item.digest for item in found) == (second,)


def test_only_a_granted_producer_can_supersede_or_compete() -> None:
    world = admitted_world()
    first = world.digests["manifest"]
    world.bind("hostile", signer="stranger", supersedes={"sha256": first})
    assert tuple(i.digest for i in world.state().unsuperseded("openai", MODEL)) == (first,)


def test_evidence_is_verified_once_for_each_key() -> None:
    world = admitted_world()
    cache = SignatureCache()
    views = [party.view() for party in world.parties.values()]
    files = list(world.evidence.values())

    def built(epoch: int) -> object:
        return build(
            epoch=epoch, operator=world.operator(), views=views, evidence=files, cache=cache
        )

    first = built(1)
    known, said = dict(cache._signed), dict(cache._parsed)
    assert len(said) == len(files)
    assert len(known) == len(files) * len(views)
    assert replace(first, epoch=2) == built(2)  # type: ignore[type-var]
    assert cache._signed == known
    assert all(cache._parsed[at] is statement for at, statement in said.items())
    files.pop()
    built(3)
    assert len(cache._signed) == len(files) * len(views)
    assert len(cache._parsed) == len(files)


def test_endless_evidence_is_cut_off_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust_state, "MAX_EVIDENCE_FILES", 2)
    state = admitted_world().state()
    assert [entry.why for entry in state.rejected] == ["more than 2 files of evidence"] * 4


def test_a_state_cannot_be_changed() -> None:
    state = admitted_world().state()
    for mapping in (state.authorities, state.keys, state.manifests, state.withdrawals):
        assert not hasattr(mapping, "__setitem__")
    assert state.authorities["customer"].expires > NOW
