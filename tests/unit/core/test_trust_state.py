"""Only what a known key signed, and may sign, exists in a trust state."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from sidecar.core.documents import TrustDomain, TrustDomainsDocument
from sidecar.core.evidence import Signer
from sidecar.core.keys import PublicKey
from sidecar.core.predicates import APPROVAL, MANIFEST, RESULT
from sidecar.core.reasons import Reason
from sidecar.core.refusals import ambiguous, malformed, unsupported
from sidecar.core.snapshot import Rejected
from sidecar.core.trust_state import Change, VerifiedState, advance, build, public_keys
from sidecar.core.verification import verify_file
from tests.support.simulator.constants import MODEL, NOW
from tests.support.simulator.keys import SimKey, envelope
from tests.support.simulator.predicates import (
    approval_predicate,
    manifest_predicate,
    sha,
    statement,
    window,
)
from tests.support.simulator.steps import Steps
from tests.support.simulator.world import admitted_world


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


@pytest.mark.parametrize("name", ["customer", "nobody"])
def test_a_view_that_brings_nothing_new_does_not_hide_a_withdrawal_behind_it(name: str) -> None:
    world = admitted_world()
    nobody = world.join("nobody")
    del world.grants["nobody"]
    steps = Steps(world)
    world.parties["regulator"].withdraw("corpus", "a" * 64)
    views = {"customer": world.parties["customer"].view(), "nobody": nobody.view()}
    steps.step(Change({name: views[name], "regulator": world.parties["regulator"].view()}))
    assert steps.state.withdrawals["regulator"].entries == 1


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


def test_verified_files_are_taken_without_trying_a_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What depends on bytes and keys alone is done once; whose key it is, in every state."""
    world = admitted_world()
    views = {name: party.view() for name, party in world.parties.items()}
    keys = [key for view in views.values() for key in public_keys(view)]
    files = [verify_file(data, keys) for data in world.evidence.values()]
    expected = world.state()
    monkeypatch.setattr(PublicKey, "verifies", None)
    operator = world.operator()
    everything = Change(views, (*files[::-1], *files))
    assert advance(VerifiedState.begin(operator), everything).snapshot(1) == expected
    fewer = {name: view for name, view in views.items() if name != "producer"}
    state = advance(VerifiedState.begin(operator), Change(fewer, tuple(files))).snapshot(1)
    assert dict(state.manifests) == {}
    assert [entry.why for entry in state.rejected] == ["no key of a known authority signed it"]


def test_every_key_that_is_retired_in_one_step_ceases_to_agree() -> None:
    """Beside as many that stay as they are, in whatever order they are looked at."""
    world = admitted_world()
    party = world.parties["regulator"]
    party.retired = [SimKey.ed25519() for _ in range(16)]
    view = party.view()
    entries = view.document.keys
    active = (*(replace(each, status="active") for each in entries[:8]), *entries[8:])
    before = replace(view, document=replace(view.document, keys=active))
    state = VerifiedState.begin(world.operator())
    for each in (before, view):
        state = advance(state, Change({"regulator": each}))
    fingerprints = [key.fingerprint for key in (party.key, *party.retired)]
    retired = [state.keys[Signer("regulator", each)].retired for each in fingerprints]
    assert retired == [False] + [True] * 16


def test_a_state_is_resumed_from_its_tables_and_views() -> None:
    world = admitted_world()
    world.approve("regulator", label="renewal", window=window(0, 25))
    world.parties["regulator"].withdraw("approval", world.digests["renewal"])
    world.parties["producer"].predicate_types = (APPROVAL,)
    steps = Steps(world)
    views = {name: party.view() for name, party in world.parties.items()}
    resumed = VerifiedState.resume(world.operator(), steps.verified.tables, views)
    assert resumed.snapshot(1) == steps.state
    assert len(resumed.rejected) == 1


def test_files_that_were_refused_before_are_listed_too() -> None:
    world = admitted_world()
    refused = Rejected("f" * 64, "not an envelope")
    state = VerifiedState.begin(world.operator()).snapshot(1, (refused,))
    assert state.rejected == (refused,)


def test_the_tables_of_a_trust_state_cannot_be_written() -> None:
    state = admitted_world().state()
    for mapping in (state.authorities, state.keys, state.manifests, state.withdrawals):
        assert not hasattr(mapping, "__setitem__")
    assert state.authorities["customer"].expires > NOW


def test_trust_domains_come_from_their_own_document_where_there_is_one() -> None:
    view = admitted_world().parties["customer"].view()
    assert view.domains == ()
    own = TrustDomain("acme.example")
    document = TrustDomainsDocument("urn:admissibility:trust-domains:v1", (own,))
    assert replace(view, trust_domains=document).domains == (own,)


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (malformed, Reason.MALFORMED_REQUEST),
        (ambiguous, Reason.AMBIGUOUS_MODEL),
        (unsupported, Reason.UNSUPPORTED_OPERATION),
    ],
)
def test_the_commonest_refusals_carry_their_reason(refusal: Any, reason: Reason) -> None:
    error = refusal("why")
    assert (error.reason, error.message) == (reason, "why")
