"""The control path whole: real repositories and evidence in, trust states out."""

from __future__ import annotations

import fcntl
import hashlib
import logging
import math
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from sidecar.core.snapshot import Rejected
from sidecar.trust import sources
from sidecar.trust.control import ControlPath
from sidecar.trust.directory_source import DirectorySource
from sidecar.trust.load_once import load_once
from sidecar.trust.refresher import AuthorityStatus
from sidecar.trust.source import Source, SourceError, Trigger
from sidecar.trust.source_config import DirectorySourceConfig
from tests.support.simulator.keys import SimKey
from tests.unit.trust.operator import (
    GRANTS,
    ONE,
    Operator,
    Published,
    first_refresh,
    running,
    wait_refused,
)
from tests.unit.trust.repository import HOUR, now

KEY = "sha256:" + "a" * 64
ENTRY = {"kind": "key", "subject": KEY, "reason": "x", "effective": "2026-01-01T00:00:00Z"}


def test_everything_is_read_once_at_the_start(published: Operator) -> None:
    (published.folder / "evidence/x.json").write_bytes(b"no evidence")
    with running(published.load()) as (control, states):
        first_refresh(control)
        states.wait(ONE)
        assert control.evidence().report.rejected == (
            Rejected(
                hashlib.sha256(b"no evidence").hexdigest(),
                "envelope: not JSON: Expecting value at character 0",
            ),
        )
        statuses = control.statuses()
    expires = {name: repo.expires["timestamp"] for name, repo in published.repositories.items()}
    assert [(s.name, s.version, s.expires, s.error) for s in statuses] == [
        (name, 1, expires[name], None) for name in ("acme", "maker", "office")
    ]
    assert all(s.refreshed is not None and abs(s.refreshed - now()) < HOUR for s in statuses)
    assert [state.epoch for state in states.states] == list(range(1, len(states.states) + 1))


def test_a_withdrawal_arrives_by_notification(published: Operator) -> None:
    published.value["poll_seconds"] = 3600
    with running(published.load()) as (control, states):
        first_refresh(control)
        for version in range(2, 6):
            published.repositories["office"].withdraw("key", KEY)
            states.wait(ONE | {"office": version})
        assert len(states.last.authorities["office"].withdrawals.entries) == 4


def test_a_new_attestation_key_arrives(published: Operator) -> None:
    repo = published.repositories["acme"]
    with running(published.load()) as (control, states):
        first_refresh(control)
        repo.attestation = SimKey.ed25519()
        repo.publish()
        states.wait(ONE | {"acme": 2})
        assert [key.pem for key in states.last.authorities["acme"].document.keys] == [
            repo.attestation.pem
        ]


def test_evidence_comes_and_goes_by_notification(published: Operator) -> None:
    published.value["poll_seconds"] = 3600
    path = published.folder / "evidence/sub/x.json"
    with running(published.load()) as (control, _):
        first_refresh(control)
        path.parent.mkdir()
        path.write_bytes(b"x")
        wait_refused(control, 1)
        path.unlink()
        wait_refused(control, 0)


def test_the_same_again_makes_no_new_state(published: Operator) -> None:
    published.value["poll_seconds"] = 0.05
    with running(published.load()) as (control, states):
        first_refresh(control)
        states.wait(ONE)
        epoch = states.last.epoch
        before = control.statuses()[0].refreshed
        while control.statuses()[0].refreshed == before:
            threading.Event().wait(0.01)
        assert states.last.epoch == epoch


def test_a_publication_in_halves_is_healed_by_its_last_file(published: Operator) -> None:
    """Files arrive one by one, the timestamp first of all: the worst order there is."""
    published.value["poll_seconds"] = 3600
    repo = published.repositories["acme"]
    with running(published.load()) as (control, states):
        first_refresh(control)
        repo.entries.append(ENTRY)
        withdrawals, targets, snapshot, timestamp = list(repo.next_set().items())[1:]
        for (name, data), (missing, _) in pairwise((timestamp, snapshot, targets, withdrawals)):
            repo.write({name: data})
            wait_error(control, f"{missing} is not there")
            assert states.versions() == ONE
        repo.write(dict([withdrawals]))
        states.wait(ONE | {"acme": 2})


def wait_error(control: ControlPath, error: str | None) -> None:
    """Wait until the first authority has this error; a minute is for ever."""
    waiting = threading.Event()
    for _ in range(6000):
        if control.statuses()[0].error == error:
            return
        waiting.wait(0.01)
    assert control.statuses()[0].error == error


# failures of one authority


def test_a_bad_authority_takes_nothing_else_down(published: Operator) -> None:
    bad = published.repositories["acme"]
    bad.signers["timestamp"] = []
    bad.publish()
    with running(published.load()) as (control, states):
        first_refresh(control)
        states.wait({"maker": 1, "office": 1})
        status = control.statuses()[0]
    assert status == AuthorityStatus(
        "acme", None, None, None, "timestamp was signed by 0/1 keys; was never verified"
    )


class Hanging:
    """A source that blocks its reader, as a dead network file system does."""

    def __init__(self) -> None:
        self.hung, self.release = threading.Event(), threading.Event()

    def fetch(self, name: str, max_bytes: int) -> bytes:
        self.hung.set()
        self.release.wait()
        raise SourceError("gave up")

    def changes(self, poll_seconds: float, stop: threading.Event) -> Iterator[Trigger]:
        yield Trigger.START
        stop.wait()

    def for_acme(self, config: DirectorySourceConfig) -> Source:
        return self if config.path.name == "acme" else DirectorySource(config.path)


def test_a_source_that_hangs_holds_up_nobody_else(
    published: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = Hanging()
    monkeypatch.setattr(sources, "open_source", hanging.for_acme)
    with running(published.load()) as (control, states):
        try:
            assert hanging.hung.wait(60)
            states.wait({"maker": 1, "office": 1})
            published.repositories["maker"].publish()
            states.wait({"maker": 2, "office": 1})
            assert not control.first_refresh_done()
        finally:
            hanging.release.set()
        first_refresh(control)


def test_an_authority_whose_source_hangs_grows_older_and_no_other_does(
    published: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading that never returns is no error: its age alone shows that nothing is read."""
    hanging = Hanging()
    monkeypatch.setattr(sources, "open_source", hanging.for_acme)
    published.value["poll_seconds"] = 0.05
    with running(published.load()) as (control, states):
        try:
            assert hanging.hung.wait(60)
            states.wait({"maker": 1, "office": 1})
            last = control.statuses()[1].refreshed
            while control.statuses()[1].refreshed == last:
                threading.Event().wait(0.01)
            hung, read = control.statuses()[:2]
        finally:
            hanging.release.set()
    assert (hung.refreshed, hung.error) == (None, None)
    assert hung.followed is not None
    assert read.refreshed is not None
    assert hung.age(hung.followed + HOUR) == read.age(read.refreshed + HOUR) == 3600
    assert read.refreshed > hung.followed
    assert AuthorityStatus("acme", None, None, None, None).age(now()) == math.inf


def test_what_is_kept_holds_while_its_source_hangs_at_the_start(
    published: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = published.load()
    load_once(config)
    hanging = Hanging()
    monkeypatch.setattr(sources, "open_source", hanging.for_acme)
    with running(config) as (control, states):
        try:
            states.wait(ONE)
            assert not control.first_refresh_done()
        finally:
            hanging.release.set()


def test_a_follower_that_cannot_be_stopped_is_reported_and_publishes_nothing(
    published: Operator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    release, hung = threading.Event(), threading.Event()

    def refresh(*_: object) -> None:
        hung.set()
        release.wait()

    published.value["authorities"] = published.value["authorities"][:1]
    published.value["authorities"][0]["grants"] = list(GRANTS.values())
    monkeypatch.setattr("sidecar.trust.refresher.refresh", refresh)
    monkeypatch.setattr("sidecar.trust.control.STOP_SECONDS", 0.05)
    states = Published()
    control = ControlPath(published.load(), states)
    control.start()
    assert hung.wait(60)
    control.stop()
    count = len(states.states)
    release.set()
    for follower in control._followers:
        assert follower.join(60)
    assert len(states.states) == count
    assert "a follower is stuck in its source and did not stop" in caplog.messages


def test_a_folder_held_by_another_process_holds_up_nobody_else(published: Operator) -> None:
    config = published.load()
    folder = config.state_dir / "acme"
    folder.mkdir(parents=True)
    config.state_dir.chmod(0o700)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with running(config) as (_, states):
            states.wait({"maker": 1, "office": 1})
            fcntl.flock(lock, fcntl.LOCK_UN)
            states.wait(ONE)


def test_an_authority_that_falls_silent_keeps_its_last_word(published: Operator) -> None:
    with running(published.load()) as (control, states):
        first_refresh(control)
        states.wait(ONE)
        before = control.statuses()[0]
        folder = published.repositories["acme"].folder
        shutil.rmtree(folder)
        wait_error(control, f"there is no folder {folder}")
        status = control.statuses()[0]
        assert (status.version, status.expires) == (before.version, before.expires)
        assert states.versions() == ONE


def test_a_restart_without_any_source_starts_from_what_is_kept(published: Operator) -> None:
    published.repositories["office"].withdraw("key", KEY)
    config = published.load()
    with running(config) as (control, states):
        first_refresh(control)
        states.wait(ONE | {"office": 2})
        before = states.last.authorities
    shutil.rmtree(published.folder / "authorities")
    with running(config) as (control, states):
        first_refresh(control)
        assert dict(states.last.authorities) == {
            name: replace(view, heard_since_start=False) for name, view in before.items()
        }
        assert [s.refreshed for s in control.statuses()] == [None, None, None]


def test_statuses_are_logged_once_for_each_change(
    published: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sidecar.trust")
    published.value["poll_seconds"] = 0.05
    shutil.rmtree(published.repositories["acme"].folder)
    expires = {n: r.expires["timestamp"].isoformat() for n, r in published.repositories.items()}
    (published.folder / "evidence/x.json").symlink_to("elsewhere")
    with running(published.load()) as (control, states):
        first_refresh(control)
        states.wait({"maker": 1, "office": 1})
        published.repositories["office"].publish()
        states.wait({"maker": 1, "office": 2})
    assert sorted(record.getMessage() for record in caplog.records) == [
        f"acme: there is no folder {published.repositories['acme'].folder}; was never verified "
        "(no verified set)",
        f"evidence: {published.folder}/evidence/x.json: a link that leads nowhere or out of the "
        "folder; put a copy here",
        f"maker: version 1, until {expires['maker']}",
        f"office: version 1, until {expires['office']}",
        f"office: version 2, until {expires['office']}",
    ]
