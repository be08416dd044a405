"""A disk that is full, or nearly, is named with what helps: to rotate a log frees nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sidecar.doctor.diagnosis import Diagnosis, fail, warn
from sidecar.doctor.files import decision_log, state_folder
from sidecar.doctor.http_client import HttpAddress
from sidecar.doctor.installation import Installation
from sidecar.service.config import SidecarConfig
from tests.unit.trust.operator import Operator

GOES_ON = "Make room on its disk; the gate goes on by itself."


def found(folder: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> list[Diagnosis]:
    """What is found of log and state where a disk has so many bytes left."""
    operator = Operator(folder)
    operator.load()
    (folder / "state").mkdir(mode=0o700)
    (log := folder / "decisions.jsonl").touch()
    settings: dict[str, Any] = {"policies": "policies", "decision_log": str(log)}
    config = SidecarConfig.model_validate({"trust": str(operator.path), **settings})
    nowhere = HttpAddress("127.0.0.1", 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=room))
    installation = Installation(folder, config, "", nowhere, nowhere, nowhere, nowhere)
    return [*decision_log(installation), *state_folder(installation)]


def test_a_full_disk_is_a_failure_of_the_log_and_of_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(tmp_path, monkeypatch, 4096) == [
        fail(
            "decision log",
            f"{tmp_path}/decisions.jsonl: 0.0 MiB, room for 0 MiB: once it is full nothing is "
            "admitted",
            GOES_ON,
        ),
        fail(
            "state folder",
            f"{tmp_path}/state: room for 0 MiB: what authorities publish now is not kept for a "
            "restart",
            GOES_ON,
        ),
    ]


def test_a_disk_that_is_nearly_full_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(tmp_path, monkeypatch, 100 << 20) == [
        warn(
            "decision log",
            f"{tmp_path}/decisions.jsonl: 0.0 MiB, room for 100 MiB",
            "Make room on its disk.",
        ),
        warn("state folder", f"{tmp_path}/state: room for 100 MiB", "Make room on its disk."),
    ]
