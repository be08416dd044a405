"""Programs that read deploy/ are built only from modules whose digests are pinned."""

from __future__ import annotations

from pathlib import Path

import pytest

from admissibility_devtools.tools.kubernetes import BUILDS, obtain_kubernetes
from tests.process.tools.conftest import Script


def test_every_module_is_pinned_by_version_and_digest() -> None:
    for build in BUILDS:
        assert "@v" in build.module, build
        assert build.digest.startswith("h1:"), build
        assert build.program.variable.startswith("ADMIT_"), build


def test_one_that_cannot_be_built_is_named_and_no_error(
    tmp_path: Path, bare_path: Path, script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    go = script(tmp_path / "go", "echo 'go: no network' >&2; exit 1")
    (tmp_path / "bin").mkdir()
    assert obtain_kubernetes(tmp_path, go) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        f"tools: no {build.program.name}" for build in BUILDS
    ]
    assert all(line.endswith("cannot be downloaded: go: no network") for line in lines)
