"""The order of verification: known key ids first, junk within a budget."""

from __future__ import annotations

import hashlib
import json

import pytest

from sidecar.core import dsse
from sidecar.core.keys import PublicKey
from sidecar.core.verification import VerifiedFile
from sidecar.trust.evidence_queue import EvidenceQueue
from sidecar.trust.limits import VerificationLimits
from tests.support.simulator.keys import SimKey, envelope
from tests.unit.trust.operator import signed_manifest

KEYS = [SimKey.ed25519() for _ in range(4)]
KNOWN = frozenset(PublicKey.from_pem(key.pem) for key in KEYS)
LIMITS = VerificationLimits(unknown_tries=8, unknown_tries_per_second=4)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """(payload digest, key) of every try."""
    seen: list[tuple[str, str]] = []
    real = dsse.verified_by

    def verified_by(found: dsse.Envelope, keys: frozenset[PublicKey]) -> frozenset[str]:
        seen.extend((found.digest, key.fingerprint) for key in keys)
        return real(found, keys)

    monkeypatch.setattr(dsse, "verified_by", verified_by)
    return seen


class Queue(EvidenceQueue):
    """A queue that keeps what it reported."""

    def files(self) -> list[VerifiedFile]:
        seen: dict[str, VerifiedFile] = self.__dict__.setdefault("seen", {})
        for digest, file in self.take_changes().items():
            seen.pop(digest, None)
            if file is not None:
                seen[digest] = file
        assert len(seen) == self.verified()
        return [*seen.values()]


def queue(*files: bytes, keys: frozenset[PublicKey] = KNOWN) -> Queue:
    made = Queue(LIMITS)
    made.replace_keys(keys)
    made.change(files)
    return made


def with_key_id(data: bytes, key_id: str) -> bytes:
    value = json.loads(data)
    value["signatures"][0]["keyid"] = key_id
    return json.dumps(value).encode()


def junk(count: int, key_id: str = "") -> list[bytes]:
    """Well-formed envelopes, shorter than any manifest, by keys that nobody knows."""
    return [
        with_key_id(envelope(b"%d" % number, SimKey.ed25519()), key_id) for number in range(count)
    ]


def worked(made: Queue, now: float = 0.0) -> Queue:
    made.work(now)
    while not made.idle():
        made.work(now)
    return made


def manifests(made: Queue) -> set[str]:
    return {file.digest for file in made.files()}


def test_the_key_that_a_key_id_names_is_tried_first(tried: list[tuple[str, str]]) -> None:
    data, digest = signed_manifest(KEYS[2])
    worked(queue(data, *junk(2)))
    assert tried[0] == (digest, KEYS[2].fingerprint)
    assert [key for found, key in tried if found == digest] == [KEYS[2].fingerprint]
    assert len(tried) == len(set(tried)) == 1 + 2 * len(KEYS)


def test_a_key_id_is_a_hint_and_nothing_more() -> None:
    data, digest = signed_manifest(KEYS[0])
    for key_id in ("", "nobody", KEYS[1].fingerprint, KEYS[0].fingerprint.removeprefix("sha256:")):
        (file,) = worked(queue(with_key_id(data, key_id))).files()
        assert (file.digest, {*file.fingerprints}) == (digest, {KEYS[0].fingerprint})


def test_every_signer_of_a_file_is_found() -> None:
    payload = json.loads(signed_manifest(KEYS[0])[0])["payload"]
    both = json.loads(signed_manifest(KEYS[0])[0])
    other = json.loads(with_key_id(signed_manifest(KEYS[3])[0], "nobody"))
    assert other["payload"] == payload
    both["signatures"] += other["signatures"]
    (file,) = worked(queue(json.dumps(both).encode())).files()
    assert file.fingerprints == {KEYS[0].fingerprint, KEYS[3].fingerprint}


def test_law_2_junk_beyond_its_budget_waits_and_evicts_nothing() -> None:
    """Each piece of junk costs four tries; eight are there at once and four more each second."""
    good, digest = signed_manifest(KEYS[0])
    made = worked(queue(good))
    made.change(junk(5))
    worked(made)
    assert (manifests(made), len(made.rejected()), made.waiting()) == ({digest}, 2, 3)
    later, later_digest = signed_manifest(KEYS[1], "ft:gpt-4o-2024-08-06:acme::later")
    made.change([good, later])
    worked(made)
    assert manifests(made) == {digest, later_digest}
    worked(made, now=1.0)
    assert (len(made.rejected()), made.waiting()) == (3, 2)
    worked(made, now=60.0)
    assert (len(made.rejected()), made.waiting()) == (5, 0)


def test_law_2_junk_that_names_a_known_key_is_junk_all_the_same() -> None:
    made = worked(queue(*junk(20, KEYS[0].fingerprint)))
    assert (made.files(), made.waiting() >= 18) == ([], True)


def test_only_new_keys_are_tried(tried: list[tuple[str, str]]) -> None:
    data, digest = signed_manifest(KEYS[3])
    first = frozenset(key for key in KNOWN if key.fingerprint != KEYS[3].fingerprint)
    made = worked(queue(data, keys=first))
    assert (made.files(), len(made.rejected()), len(tried)) == ([], 1, 3)
    made.replace_keys(KNOWN)
    worked(made)
    assert (manifests(made), made.rejected(), len(tried)) == ({digest}, [], 4)
    made.replace_keys(first)
    made.replace_keys(KNOWN)
    worked(made)
    assert len(tried) == 4


def test_what_is_gone_counts_no_more() -> None:
    (one, _), (two, _) = signed_manifest(KEYS[0]), signed_manifest(KEYS[1], "ft:x:acme::two")
    unknown = junk(1)
    made = worked(queue(one, two, *unknown))
    assert {each is None for each in made.take_changes().values()} == {False}
    gone = hashlib.sha256(two).hexdigest()
    made.change([], [gone, *(hashlib.sha256(data).hexdigest() for data in unknown)])
    assert made.take_changes() == {gone: None}
    assert (worked(made).verified(), made.holds_verified(gone)) == (1, False)


def test_what_can_never_be_used_is_refused_once(tried: list[tuple[str, str]]) -> None:
    signed_nonsense = envelope(b"no statement", KEYS[0])
    made = worked(queue(b"no envelope", signed_nonsense))
    assert sorted(item.why for item in made.rejected()) == [
        "envelope: not JSON: Expecting value at character 0",
        "statement: not JSON: Expecting value at character 0",
    ]
    count = len(tried)
    made.replace_keys(frozenset({PublicKey.from_pem(SimKey.ed25519().pem)}))
    worked(made)
    assert len(tried) == count
