"""Programs that say which version they are, and places to keep them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Script = Callable[[Path, str], Path]


@pytest.fixture
def script() -> Script:
    """Makes an executable shell script."""

    def make(path: Path, body: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing on it but what a shell script needs, and no operator's variables."""
    folder = tmp_path / "path"
    folder.mkdir()
    for name in ("sh", "cat", "cp", "chmod"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    for variable in ("ADMIT_OPA", "ADMIT_ENVOY", "ADMIT_NODE", "ADMIT_TOOLS", "OPA_SHA256"):
        if variable in os.environ:
            monkeypatch.delenv(variable)
    return folder
