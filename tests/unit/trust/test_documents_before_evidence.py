"""Laws 1 and 2 in the control path: no folder delays a withdrawal, or loses what was verified."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.core import dsse
from sidecar.core.keys import PublicKey
from sidecar.trust.evidence_folder import EvidenceFolder
from tests.support.simulator.keys import SimKey, envelope
from tests.unit.trust.operator import ONE, Operator, first_refresh, running, signed_manifest

KEY = "sha256:" + "a" * 64


def hang_verification(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Let the next verification of evidence set the first event, and wait for the second."""
    reached, release = threading.Event(), threading.Event()

    def verified_by(_: dsse.Envelope, __: frozenset[PublicKey]) -> frozenset[str]:
        reached.set()
        release.wait()
        return frozenset()

    monkeypatch.setattr(dsse, "verified_by", verified_by)
    return reached, release


def test_case_8_a_withdrawal_does_not_wait_for_evidence(
    published: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verification hangs in the middle of a file; the withdrawal is published nevertheless."""
    reached, release = hang_verification(monkeypatch)
    with running(published.load()) as (control, states):
        try:
            states.wait(ONE)
            data = envelope(b"junk", SimKey.ed25519())
            (published.folder / "evidence/x.json").write_bytes(data)
            assert reached.wait(60)
            assert not control.first_refresh_done()
            published.repositories["office"].withdraw("key", KEY)
            states.wait(ONE | {"office": 2})
        finally:
            release.set()


def test_evidence_of_a_key_that_becomes_known_later_is_found(published: Operator) -> None:
    repo, later = published.repositories["acme"], SimKey.ed25519()
    data, digest = signed_manifest(later)
    (published.folder / "evidence/x.json").write_bytes(data)
    with running(published.load()) as (control, states):
        first_refresh(control)
        assert [item.why for item in control.evidence().report.rejected] == [
            "no key of a known authority signed it"
        ]
        repo.attestation = later
        repo.publish()
        states.wait_manifests(digest)


def test_the_first_refresh_is_done_when_evidence_is_verified(published: Operator) -> None:
    """Otherwise an admissible model would be refused for good just after the start."""
    data, digest = signed_manifest(published.repositories["acme"].attestation)
    (published.folder / "evidence/x.json").write_bytes(data)
    with running(published.load()) as (control, states):
        first_refresh(control)
        assert {*states.last.manifests_by_digest} == {digest}


def test_a_folder_that_hangs_is_a_problem_until_it_is_read(
    published: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a dead network file system: no error comes of it, and no evidence either."""
    reached, release = threading.Event(), threading.Event()
    read = EvidenceFolder.read

    def hang(*arguments: Any) -> Any:
        reached.set()
        release.wait()
        return read(*arguments)

    monkeypatch.setattr(EvidenceFolder, "read", hang)
    with running(published.load()) as (control, _):
        try:
            assert reached.wait(60)
            assert control.evidence().problems == ()
            with monkeypatch.context() as patch:
                patch.setattr("sidecar.trust.evidence_following.HUNG_SECONDS", 0.0)
                (line,) = control.evidence().problems
        finally:
            release.set()
        first_refresh(control)
        assert control.evidence().problems == ()
    path, _, rest = line.partition(": ")
    assert path == str(published.folder / "evidence")
    assert rest.startswith("has been read for ")
    assert rest.endswith(" s: it is large, or its file system or server hangs")


def test_evidence_that_never_ends_does_not_keep_the_gate_from_becoming_ready(
    published: Operator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reached, release = hang_verification(monkeypatch)
    data = envelope(b"junk", SimKey.ed25519())
    (published.folder / "evidence/x.json").write_bytes(data)
    with running(published.load()) as (control, states):
        try:
            states.wait(ONE)
            assert reached.wait(60)
            assert not control.first_refresh_done()
            monkeypatch.setattr("sidecar.trust.evidence_following.EVIDENCE_SECONDS", 0.0)
            first_refresh(control)
            assert control.first_refresh_done()
        finally:
            release.set()
    late = "evidence is not verified yet; what rests on the rest is denied meanwhile"
    assert caplog.messages.count(late) == 1


def test_law_2_a_folder_that_cannot_be_read_is_not_empty(
    published: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.value["poll_seconds"] = 0.05
    data, digest = signed_manifest(published.repositories["acme"].attestation)
    path = published.folder / "evidence/x.json"
    path.write_bytes(data)
    with running(published.load()) as (control, states):
        first_refresh(control)
        monkeypatch.setattr(os, "scandir", failing(errno.EMFILE))
        problem = f"{path.parent}: Too many open files"
        waiting = threading.Event()
        while control.evidence().problems != (problem,):
            waiting.wait(0.01)
        assert {*states.last.manifests_by_digest} == {digest}
        monkeypatch.undo()
        path.unlink()
        states.wait_manifests()
        assert control.evidence().problems == ()


def failing(number: int) -> Callable[..., object]:
    def fail(*_: object, **__: object) -> object:
        raise OSError(number, os.strerror(number))

    return fail


def folder_of(tmp_path: Path, verified: set[bytes]) -> EvidenceFolder:
    for name, data in (("a/one", b"1"), ("a/two", b"2"), ("b/three", b"3")):
        path = tmp_path / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return EvidenceFolder(tmp_path, lambda digest: digest in {sha(data) for data in verified})


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_law_2_an_unreadable_part_keeps_what_was_verified_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: set[bytes] = set()
    folder = folder_of(tmp_path, verified)
    assert {*folder.read().added} == {b"1", b"2", b"3"}
    verified |= {b"1", b"3"}
    (tmp_path / "b/three.json").unlink()
    real = os.scandir

    def scandir(path: Path) -> object:
        return failing(errno.EIO)() if Path(path).name == "a" else real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = folder.read()
    assert ({*found.removed}, found.whole) == ({sha(b"2"), sha(b"3")}, False)
    assert found.problems == (f"{tmp_path}/a: Input/output error",)


def test_law_2_a_file_that_cannot_be_opened_stays_if_it_was_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, {b"1"})
    folder.read()
    for name in ("a/one", "a/two"):  # new content, so that both must be read again
        (tmp_path / f"{name}.json").write_bytes(b"changed")
    monkeypatch.setattr(os, "open", failing(errno.EMFILE))
    assert {*folder.read().removed} == {sha(b"2"), sha(b"3")}


def test_law_2_junk_without_room_evicts_nothing(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, set())
    folder.read()
    for number in range(20):
        (tmp_path / f"{number}.json").write_bytes(sha(b"%d" % number).encode())
    found = folder.read(room=0)
    assert (found.added, found.removed, found.more) == ((), (), True)


def test_a_changed_file_is_read_again_and_an_old_one_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, set())
    monkeypatch.setattr("sidecar.trust.evidence_folder._SETTLED_NS", -1 << 62)
    folder.read()
    opened: list[str] = []
    real = os.open

    def remember(path: Path, *arguments: int) -> int:
        opened.append(Path(path).name)
        return real(path, *arguments)

    monkeypatch.setattr(os, "open", remember)
    assert folder.read().added == ()
    (tmp_path / "a/one.json").write_bytes(b"9")
    assert folder.read().added == (b"9",)
    assert opened == ["one.json"]
