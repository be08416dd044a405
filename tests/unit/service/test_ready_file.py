"""The file that states where a gate listens is there once it is ready and can write it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sidecar.service.ready_file import ReadyFile


def test_what_could_not_be_written_is_tried_again_and_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "later" / "gate.json"
    ready = ReadyFile(path)
    for _ in range(3):
        ready.write("127.0.0.1:1", "127.0.0.1:2")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    path.parent.mkdir()
    ready.write("127.0.0.1:1", "127.0.0.1:2")
    value = {"pid": os.getpid(), "listen": "127.0.0.1:1", "metrics": "127.0.0.1:2"}
    assert json.loads(path.read_text()) == value
    path.unlink()
    ready.write("127.0.0.1:1", "127.0.0.1:2")
    assert not path.exists()  # once it was written, it is not looked at any more
