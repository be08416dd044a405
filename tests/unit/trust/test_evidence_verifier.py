"""A long verification says how far it has come, goes on, and leaves the process as it was."""

from __future__ import annotations

import gc
import logging
import re
import threading
from pathlib import Path

import pytest

from sidecar.core.keys import PublicKey
from sidecar.trust import evidence_verifier
from sidecar.trust.evidence_queue import EvidenceQueue
from sidecar.trust.evidence_verifier import EvidenceVerifier
from sidecar.trust.limits import VerificationLimits
from tests.support.simulator.keys import SimKey
from tests.unit.trust.operator import signed_manifest

FILES = 12
_SHORT = 10


def test_a_first_load_logs_its_progress_and_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sidecar.trust")
    monkeypatch.setattr(evidence_verifier, "_PROGRESS_SECONDS", 0.0)
    key = SimKey.ed25519()
    files = [signed_manifest(key, f"ft:x:acme::{number}")[0] for number in range(FILES)]
    posted: list[str] = []
    made = EvidenceVerifier(
        lambda added, _: posted.extend(file.file_digest for file in added),
        VerificationLimits(slice_tries=1, post_seconds=60.0),  # however long steps take
    )
    made.put_keys([PublicKey.from_pem(key.pem)])
    made.put_files(Path("evidence"), tuple(files), ())
    made.start()
    waiting = threading.Event()
    while not made.settled():
        waiting.wait(0.005)
    made.request_stop()
    assert made.join(10)
    lines = [line for line in caplog.messages if line.startswith("evidence: ")]
    assert lines[-1] == f"evidence: all {FILES} files are verified"
    counts = [tuple(map(int, re.findall(r"\d+", line))) for line in lines[:-1]]
    assert len(counts) > 1
    assert {done + left for done, left in counts} == {FILES}
    assert len(posted) == FILES


def test_law_2_an_error_that_nobody_foresaw_in_one_folder_ends_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(evidence_verifier, "RETRY_SECONDS", 0.01)
    real = EvidenceQueue.work

    def work(queue: EvidenceQueue, now: float) -> None:
        if queue.waiting_bytes() < _SHORT:
            raise IndexError("pop from an empty deque")
        real(queue, now)

    monkeypatch.setattr(EvidenceQueue, "work", work)
    key, verified = SimKey.ed25519(), threading.Event()
    made = EvidenceVerifier(lambda *_: verified.set(), VerificationLimits(post_seconds=0.0))
    made.put_keys([PublicKey.from_pem(key.pem)])
    made.put_files(Path("junk"), (b"x",), ())
    made.put_files(Path("evidence"), (signed_manifest(key)[0],), ())
    made.start()
    assert verified.wait(60)
    made.request_stop()
    assert made.join(60)
    assert "evidence: junk: unexpected error" in caplog.text


def _load(made: EvidenceVerifier, key: SimKey) -> None:
    """Let a verifier load a folder to its end."""
    files = [signed_manifest(key, f"ft:x:acme::{number}")[0] for number in range(FILES)]
    made.put_keys([PublicKey.from_pem(key.pem)])
    made.put_files(Path("evidence"), tuple(files), ())
    made.start()
    waiting = threading.Event()
    while not made.settled():
        waiting.wait(0.005)
    made.request_stop()
    assert made.join(60)


def test_a_step_has_no_more_files_than_may_be_posted_together() -> None:
    key, sizes = SimKey.ed25519(), []
    made = EvidenceVerifier(
        lambda added, _: sizes.append(len(added)),
        VerificationLimits(slice_tries=1, post_seconds=60.0, post_files=4),
    )
    _load(made, key)
    assert sizes == [4, 4, 4]


def test_cycles_are_looked_for_rarely_in_a_first_load_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = gc.get_threshold()
    monkeypatch.setattr(evidence_verifier, "_OBJECTS", before[0])
    key, seen = SimKey.ed25519(), []
    made = EvidenceVerifier(
        lambda *_: seen.append(gc.get_threshold()[0]),
        VerificationLimits(post_seconds=0.0, many=2, batch=1),
    )
    _load(made, key)
    assert max(seen) > before[0]
    assert gc.get_threshold() == before
