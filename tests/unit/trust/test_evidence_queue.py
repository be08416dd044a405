"""The order of verification: known key ids first, junk within a budget."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from operator import attrgetter

import pytest

from sidecar.core import dsse
from sidecar.core.keys import PublicKey
from sidecar.core.verification import VerifiedFile
from sidecar.trust.evidence_queue import EvidenceQueue
from sidecar.trust.limits import VerificationLimits
from sidecar.trust.signature_pool import Found, SignaturePool, Task
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


def test_a_signed_statement_that_no_reader_foresaw_stops_nothing() -> None:
    """``critical`` belongs in a predicate; one authority's file must not hold up the others'."""
    other = envelope(b'{"_type": "https://in-toto.io/Statement/v1", "critical": ["x"]}', KEYS[0])
    data, digest = signed_manifest(KEYS[1])
    made = worked(queue(other, data))
    assert manifests(made) == {digest}
    (refused,) = made.rejected()
    assert refused.file_digest == hashlib.sha256(other).hexdigest()


def test_every_signer_of_a_file_is_found() -> None:
    payload = json.loads(signed_manifest(KEYS[0])[0])["payload"]
    both = json.loads(signed_manifest(KEYS[0])[0])
    other = json.loads(with_key_id(signed_manifest(KEYS[3])[0], "nobody"))
    assert other["payload"] == payload
    both["signatures"] += other["signatures"]
    (file,) = worked(queue(json.dumps(both).encode())).files()
    assert file.fingerprints == {KEYS[0].fingerprint, KEYS[3].fingerprint}


def test_case_8_junk_beyond_its_budget_waits_and_evicts_nothing() -> None:
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


class Pool(SignaturePool):
    """Verifies in this process, when its answer is asked for; or answers that it could not."""

    def __init__(self, *, broken: bool = False) -> None:
        super().__init__(2)
        self.broken = broken
        self.batches = 0

    def submit(self, batch: Sequence[Task]) -> Future[Found]:
        self.batches += 1
        done: Future[Found] = Future()
        found = tuple(dsse.verified_by(envelope, keys) for envelope, keys in batch)
        done.set_result(None if self.broken else found)
        return done


def pooled(pool: Pool) -> Queue:
    """A queue whose every new file goes to the pool, two at a time."""
    made = Queue(replace(LIMITS, many=1, batch=2), pool=pool)
    made.replace_keys(KNOWN)
    return made


def signed(count: int) -> list[bytes]:
    return [signed_manifest(KEYS[n % 4], f"openai/ft:{n}")[0] for n in range(count)]


def digests(files: list[bytes]) -> set[str]:
    return {hashlib.sha256(data).hexdigest() for data in files}


@pytest.mark.parametrize("broken", [False, True])
def test_a_pool_changes_nothing_of_what_is_verified(*, broken: bool) -> None:
    """Files of a batch that its process did not verify are verified here, none is left out."""
    both, other = json.loads(signed(1)[0]), json.loads(signed_manifest(KEYS[3], "openai/ft:0")[0])
    both["signatures"] += [{**other["signatures"][0], "keyid": "nobody", "fingerprint": ""}]
    false = with_key_id(signed_manifest(SimKey.ed25519())[0], KEYS[1].fingerprint)
    files = [*signed(9), json.dumps(both).encode(), false, *junk(2), b"no envelope"]
    expected = worked(queue(*files))
    made = pooled(pool := Pool(broken=broken))
    made.change(files)
    assert worked(made).left() == expected.left()
    assert pool.batches == 6
    key = attrgetter("file_digest")
    assert sorted(made.files(), key=key) == sorted(expected.files(), key=key)
    assert sorted(made.rejected(), key=key) == sorted(expected.rejected(), key=key)


def test_law_2_very_much_junk_alone_ends_nothing() -> None:
    """No file of it is for the pool, and most waits; what comes later is verified all the same."""
    made = pooled(pool := Pool())
    made.change([*junk(5), *(b"no envelope %d" % number for number in range(5))])
    made.work(0.0)
    assert made.left() > len(junk(5))  # a slice looks at a batch of them, not at all
    worked(made)
    assert (pool.batches, made.files(), made.waiting()) == (0, [], 3)
    made.change(signed(3))
    assert {file.file_digest for file in worked(made).files()} == digests(signed(3))


def test_what_happens_while_a_pool_verifies_is_not_lost() -> None:
    files = signed(4)
    made = pooled(Pool())
    made.change(files)
    made.work(0.0)
    assert (made.left(), made.idle(), made.rejected(), made.files()) == (4, False, [], [])
    made.change(files[:1], digests(files[:2]))
    made.change((), digests(files[1:2]))
    made.replace_keys(KNOWN | {PublicKey.from_pem(SimKey.ed25519().pem)})
    found = {file.file_digest for file in worked(made).files()}
    assert found == digests([files[0], *files[2:]])
