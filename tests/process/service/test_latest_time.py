"""The latest time relied on survives a restart, and a clock behind it is not served by."""

from __future__ import annotations

import errno
import json
import os
import time
import urllib.request
from pathlib import Path

import pytest

from sidecar.service import clock_floor
from sidecar.service.clock_floor import NAME, LatestTimeError
from tests.process.service.site import Site


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    assert clock_floor.load(tmp_path) == 0
    for value in (1.4, 1_800_000_000.6):
        clock_floor.keep(tmp_path, value)
        assert clock_floor.load(tmp_path) == round(value)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_full_disk_does_not_hold_the_time_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a clock that is set back after a restart would undo what ended meanwhile."""
    clock_floor.keep(tmp_path, 1_800_000_000)

    def full(path: Path, data: bytes, *, mode: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(clock_floor, "write_atomically", full)
    clock_floor.keep(tmp_path, 1_800_000_100)
    assert clock_floor.load(tmp_path) == 1_800_000_100
    (tmp_path / NAME).write_bytes(b'{"latest": 1800000200 }')
    with pytest.raises(OSError, match="No space left"):
        clock_floor.keep(tmp_path, 1_800_000_300)
    assert clock_floor.load(tmp_path) == 1_800_000_200


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b'{"latest": "x"}', b'{"latest": -1}', b'{"latest": true}',
             b'{"latest": NaN}', b"\xff"]
)  # fmt: skip
def test_what_is_no_time_is_refused_and_not_taken_for_the_beginning(
    tmp_path: Path, data: bytes
) -> None:
    (tmp_path / NAME).write_bytes(data)
    with pytest.raises(LatestTimeError) as caught:
        clock_floor.load(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / NAME}: contains no time; make sure that the"
        " clock is right, then remove the file"
    )


def status(url: str) -> object:
    with urllib.request.urlopen(f"{url}/status", timeout=10) as answer:
        return json.load(answer)["clock"]


def test_a_gate_keeps_the_time_and_a_clock_set_back_is_reported(site: Site) -> None:
    began = round(time.time())
    with site.start() as running:
        assert status(running.metrics) == {"problem": None}
    state = site.folder / "state"
    kept = clock_floor.load(state)
    assert began <= kept <= time.time() + 1
    clock_floor.keep(state, time.time() + 3600)
    with site.start() as running:
        told = status(running.metrics)
        with urllib.request.urlopen(f"{running.metrics}/metrics", timeout=10) as answer:
            assert b"\nadmissibility_clock_sound 0.0\n" in answer.read()
    assert isinstance(told, dict)
    assert "a time that was already relied on" in told["problem"]
