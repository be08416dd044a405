"""Assembling trust states, and doing all of it once for a command."""

from __future__ import annotations

import hashlib
import shutil

import pytest

from sidecar.core import dsse
from sidecar.trust.assembler import Assembler
from sidecar.trust.durable_state import DurableState
from sidecar.trust.load_once import load_once
from tests.support.simulator.keys import SimKey, envelope
from tests.unit.trust.operator import ONE, Operator, Published, first_refresh, running


def test_a_signature_is_verified_once(published: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five heartbeats of every authority later, each envelope was still verified only once."""
    verified: list[str] = []
    real = dsse.verified_by

    def verified_by(found: dsse.Envelope, keys: set[object]) -> frozenset[str]:
        verified.extend(found.digest for _ in keys)
        return real(found, keys)  # type: ignore[arg-type]

    monkeypatch.setattr(dsse, "verified_by", verified_by)
    for number in range(3):
        payload = str(number).encode()
        data = envelope(payload, SimKey.ed25519())
        (published.folder / f"evidence/{number}.json").write_bytes(data)
    with running(published.load()) as (control, states):
        first_refresh(control)
        for version in range(2, 7):
            for repo in published.repositories.values():
                repo.publish()
            states.wait(dict.fromkeys(ONE, version))
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(3)]
    keys = len(published.repositories)
    assert {digest: verified.count(digest) for digest in verified} == dict.fromkeys(digests, keys)


def test_a_state_that_could_not_be_handed_on_is_made_again(published: Operator) -> None:
    """Otherwise a withdrawal would be lost with the exception."""
    states = Published()
    failures = [ValueError("not now")]

    def publish(state: object) -> None:
        if failures:
            raise failures.pop()
        states(state)  # type: ignore[arg-type]

    config = published.load()
    config.state_dir.mkdir(mode=0o700)
    durable = DurableState(config.state_dir, config.operator)
    assembler = Assembler(durable, durable.first_state(), publish)
    with pytest.raises(ValueError, match="not now"):
        assembler.post_view("acme", None)
    assert assembler.post_view("acme", None) is False
    assert [state.epoch for state in states.states] == [2]
    durable.close()


def test_nothing_is_published_after_the_end(published: Operator) -> None:
    with running(published.load()) as (control, states):
        first_refresh(control)
    count = len(states.states)
    control._assembler.post_view("acme", None)
    assert len(states.states) == count


def test_several_folders_of_evidence_are_one_set(published: Operator) -> None:
    published.value["evidence"] = ["evidence", "more"]
    config = published.load()
    (published.folder / "more").mkdir()
    for name, data in (("evidence/a", b"1"), ("more/b", b"1"), ("more/c", b"2")):
        (published.folder / f"{name}.json").write_bytes(data)
    with running(config) as (control, _):
        first_refresh(control)
        assert len({item.file_digest for item in control.evidence().report.rejected}) == 2


def test_once_gives_what_the_long_running_path_gives(published: Operator) -> None:
    (published.folder / "evidence/x.json").write_bytes(b"x")
    bad = published.repositories["acme"]
    shutil.rmtree(bad.folder)
    config = published.load()
    state, statuses = load_once(config)
    assert [(s.name, s.version, s.error) for s in statuses] == [
        ("acme", None, f"there is no folder {bad.folder}; was never verified"),
        ("maker", 1, None),
        ("office", 1, None),
    ]
    with running(config) as (control, states):
        first_refresh(control)
        states.wait({"maker": 1, "office": 1})
        last, rejected = states.last, control.evidence().report.rejected
    assert (state.authorities, state.keys, state.rejected, state.operator) == (
        last.authorities,
        last.keys,
        rejected,
        last.operator,
    )
    assert state.epoch == 1


def test_once_names_the_evidence_that_it_cannot_read(
    published: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    """Otherwise a verdict such as `manifest_missing` would hide its cause."""
    path = published.folder / "evidence/x.json"
    path.symlink_to("elsewhere")
    load_once(published.load())
    assert (
        f"evidence: {path}: a link that leads nowhere or out of the folder; put a copy here"
        in caplog.messages
    )


def test_a_command_that_loads_once_keeps_versions_against_a_rollback(published: Operator) -> None:
    config = published.load()
    old = published.folder / "old"
    shutil.copytree(published.folder / "authorities", old)
    published.repositories["acme"].publish()
    load_once(config)
    shutil.rmtree(published.folder / "authorities")
    old.rename(published.folder / "authorities")
    _, statuses = load_once(config)
    assert [(s.version, s.error) for s in statuses] == [
        (2, "New timestamp version 1 must be >= 2"),
        (1, None),
        (1, None),
    ]


def test_once_beside_a_running_gate_disturbs_nothing(published: Operator) -> None:
    config = published.load()
    with running(config) as (control, states):
        first_refresh(control)
        for version in range(2, 8):
            published.repositories["acme"].publish()
            _, statuses = load_once(config)
            assert [(s.version, s.error) for s in statuses] == [
                (version, None),
                (1, None),
                (1, None),
            ]
        states.wait(ONE | {"acme": 7})
        assert [s.error for s in control.statuses()] == [None, None, None]
