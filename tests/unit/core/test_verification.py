"""One file of evidence: the signature before the statement, and only the keys that signed."""

from __future__ import annotations

import hashlib
import json

import pytest

from sidecar.core.reasons import EvidenceError
from sidecar.core.verification import UNKNOWN_SIGNER, verify_file
from tests.support.simulator.world import admitted_world


def test_the_keys_that_signed_are_found_among_all_that_are_tried() -> None:
    world = admitted_world()
    data, state = world.evidence["manifest"], world.state()
    keys = {record.key for record in state.keys.values()}
    (item,) = state.manifests_by_digest.values()
    found = verify_file(data, keys)
    assert (found.file_digest, found.digest, found.statement) == (
        hashlib.sha256(data).hexdigest(),
        item.digest,
        item.statement,
    )
    assert found.fingerprints == {signer.fingerprint for signer in item.signers}


def test_an_envelope_that_none_of_the_keys_signed_is_not_parsed_further() -> None:
    world = admitted_world()
    value = json.loads(world.evidence["manifest"])
    value["payload"] = "bm90IGEgc3RhdGVtZW50"
    state = world.state()
    keys = [record.key for record in state.keys.values()]
    for data, tried in ((json.dumps(value).encode(), keys), (world.evidence["manifest"], [])):
        with pytest.raises(EvidenceError) as caught:
            verify_file(data, tried)
        assert str(caught.value) == UNKNOWN_SIGNER
