"""Signatures that other processes verify: their answers are those of this one, or there is none."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from sidecar.core import dsse
from sidecar.core.keys import PublicKey
from sidecar.core.trust_state import public_keys
from sidecar.trust.signature_pool import SignaturePool, Task
from tests.support.simulator.keys import SimKey
from tests.support.simulator.many import declared_world, statements
from tests.support.site.processes import stop


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    """Envelopes that all known keys are tried on; one is changed, and one has no known signer."""
    world = declared_world()
    keys = frozenset(key for party in world.parties.values() for key in public_keys(party.view()))
    found = [dsse.parse(data) for data in statements(world, 0)]
    changed = dsse.Envelope(found[0].payload + b" ", found[0].signatures, "")
    both = dsse.Envelope(found[0].payload, found[1].signatures + found[0].signatures, "")
    return [*((each, keys) for each in (*found, changed, both)), (found[0], frozenset())]


@pytest.fixture
def pool() -> Iterator[SignaturePool]:
    made = SignaturePool(1)
    yield made
    made.rest()


def here(tasks: list[Task]) -> tuple[frozenset[str], ...]:
    return tuple(dsse.verified_by(envelope, keys) for envelope, keys in tasks)


def test_a_pool_finds_what_this_process_finds(pool: SignaturePool, tasks: list[Task]) -> None:
    expected = here(tasks)
    assert [len(each) for each in expected] == [1, 1, 1, 1, 1, 0, 1, 0]
    assert pool.submit(tasks).result() == expected
    assert pool.submit(tasks[::-1]).result() == expected[::-1]


def test_a_pool_verifies_with_keys_of_every_kind(pool: SignaturePool) -> None:
    made = (SimKey.p256(), SimKey.ed25519(), SimKey.p256())
    keys = frozenset(PublicKey.from_pem(each.pem) for each in made)
    message = dsse.pae(dsse.PAYLOAD_TYPE, b"{}")
    signatures = tuple(each.sign(message) for each in made)
    found = [dsse.Envelope(b"{}", (each,), "") for each in (*signatures, b"", b"short")]
    mixed = dsse.Envelope(b"{}", signatures, "")
    tasks = [(each, keys) for each in (*found, mixed)]
    expected = here(tasks)
    assert [len(each) for each in expected] == [1, 1, 1, 0, 0, 3]
    assert pool.submit(tasks).result() == expected


def test_a_batch_whose_process_died_is_not_verified_and_the_next_one_is(
    pool: SignaturePool, tasks: list[Task]
) -> None:
    pool.submit(tasks).result()
    (before,) = pool.pids
    os.kill(before, signal.SIGKILL)
    assert pool.submit(tasks).result() is None
    assert pool.submit(tasks).result() == here(tasks)
    assert pool.pids != {before}


def test_a_process_that_hangs_is_killed_and_its_batch_not_verified(
    pool: SignaturePool, tasks: list[Task]
) -> None:
    pool.submit(tasks[:1]).result()
    pool.seconds = 0.1
    (before,) = pool.pids
    stop(before)
    assert pool.submit(tasks).result() is None
    pool.seconds = 60
    assert pool.submit(tasks).result() == here(tasks)


@pytest.mark.parametrize("answer", [b"\x02", b"yes", b""])
def test_an_answer_that_is_none_is_no_signature(
    pool: SignaturePool, tasks: list[Task], answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = f"import sys; sys.stdout.buffer.write({answer!r} * 99)"
    real = subprocess.Popen
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda command, **more: real([command[0], "-c", program], **more),
    )
    assert pool.submit(tasks).result() is None


def test_a_process_that_cannot_be_started_verifies_nothing(
    pool: SignaturePool, tasks: list[Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(24, "too many open files")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert pool.submit(tasks).result() is None


def test_no_process_is_left_while_there_is_nothing_to_verify(
    pool: SignaturePool, tasks: list[Task]
) -> None:
    pool.submit(tasks).result()
    (before,) = pool.pids
    pool.rest()
    assert pool.pids == frozenset()
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)
    assert pool.submit(tasks).result() == here(tasks)


def test_a_key_is_the_same_in_both_processes(tasks: list[Task]) -> None:
    (key, *_) = tasks[0][1]
    assert PublicKey.from_pem(key.pem) == key
