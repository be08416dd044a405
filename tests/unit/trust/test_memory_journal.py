"""Law 7: what took over stays so, though its evidence is lost and the gate is restarted."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from sidecar.core.memory import Memory
from sidecar.trust.control import ControlPath
from sidecar.trust.durable_state import remembered
from sidecar.trust.load_once import load_once
from tests.support.simulator.constants import MODEL
from tests.unit.trust.operator import (
    EVERYWHERE,
    Operator,
    first_refresh,
    running,
    signed_manifest,
)

ADAPTED = (f"openai/{MODEL}",)


@pytest.fixture
def bound(published: Operator) -> Path:
    """A manifest by a granted producer, in the evidence folder."""
    published.value["authorities"][0]["grants"].append({"role": "producer", **EVERYWHERE})
    data, _ = signed_manifest(published.repositories["acme"].attestation)
    path = published.folder / "evidence/manifest.json"
    path.write_bytes(data)
    return path


def kept(operator: Operator) -> Memory:
    return remembered(operator.folder / "state")


def test_law_7_what_is_remembered_survives_lost_evidence_and_a_restart(
    published: Operator, bound: Path
) -> None:
    config = published.load()
    with running(config) as (control, states):
        first_refresh(control)
        assert states.last.memory.adapted == ADAPTED
        bound.unlink()
        states.wait_manifests()
        assert states.last.memory.adapted == ADAPTED
    assert kept(published).adapted == ADAPTED
    mode = (published.folder / "state/memory.jsonl").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    with running(config) as (control, states):
        first_refresh(control)
        assert (dict(states.last.manifests_by_digest), states.last.memory.adapted) == ({}, ADAPTED)
    assert load_once(config)[0].memory.adapted == ADAPTED


def test_what_is_remembered_is_on_disk_before_the_state_is_handed_on(
    published: Operator, bound: Path
) -> None:
    seen: list[bool] = []
    assert bound.exists()

    def publish(state: object) -> None:
        if getattr(state, "memory").adapted:  # noqa: B009 - a state, seen as the gate would
            on_disk = (published.folder / "state/memory.jsonl").exists()
            seen.append(on_disk and kept(published).adapted == ADAPTED)

    control = ControlPath(published.load(), publish)
    control.start()
    try:
        first_refresh(control)
    finally:
        control.stop()
    assert seen
    assert all(seen)


def test_a_full_disk_is_reported_and_tried_again_and_holds_up_nothing(
    published: Operator, bound: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published.value["poll_seconds"] = 0.05
    assert bound.exists()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    path = published.folder / "state/memory.jsonl"
    with running(published.load()) as (control, states):
        first_refresh(control)
        assert states.last.memory.adapted == ADAPTED
        assert control.evidence().problems == (
            f"{path} cannot be written: No space left on device; "
            "a restart would forget what was superseded",
        )
        monkeypatch.undo()
        waiting = threading.Event()
        while control.evidence().problems:
            waiting.wait(0.01)
        assert kept(published).adapted == ADAPTED
