"""Regal is built only from the module whose digest is pinned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from admissibility_devtools.tools import pins
from admissibility_devtools.tools.regal import obtain_regal
from sidecar.opa.errors import ProgramError
from tests.process.tools.conftest import Script

BUILDS = """
[ "$GOTOOLCHAIN" = local ] && [ "$CGO_ENABLED" = 0 ] || exit 3
if [ "$1" = mod ]; then
  [ "$*" = "mod download -json {module}" ] || exit 4
  printf '%s' '{answer}'
else
  [ "$1 $2 $3 $4" = "build -C {sources} -mod=readonly" ] || exit 5
  cd {sources}
  for last; do [ "$before" = -o ] && built=$last; before=$last; done
  printf '#!/bin/sh\\necho "Version:       {version}"\\n' > "$built"
  chmod 755 "$built"
fi
"""


def go(
    script: Script, folder: Path, *, digest: str = pins.REGAL_SUM, version: str = pins.REGAL
) -> Path:
    """A Go that downloads a module of some digest and builds a Regal of some version."""
    answer = json.dumps({"Dir": str(folder), "Sum": digest})
    body = BUILDS.format(
        module=pins.REGAL_MODULE, answer=answer, sources=folder, version=version
    )  # fmt: skip
    return script(folder / "go", body)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "tools"
    (folder / "bin").mkdir(parents=True)
    return folder


def test_the_pinned_module_is_built_and_kept(
    tools: Path, tmp_path: Path, bare_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = tmp_path / "sources"
    builder = go(script, sources)
    monkeypatch.chdir(tmp_path)
    relative = Path(tools.name)
    assert obtain_regal(relative, builder) == relative / "bin" / "regal"
    builder.unlink()
    assert obtain_regal(tools, builder) == tools / "bin" / "regal"


def test_a_module_of_another_digest_is_not_built(
    tools: Path, tmp_path: Path, bare_path: Path, script: Script
) -> None:
    builder = go(script, tmp_path, digest="h1:other")
    with pytest.raises(ProgramError, match=r"has digest h1:other, expected h1:.*not built"):
        obtain_regal(tools, builder)
    assert list((tools / "bin").iterdir()) == []


def test_a_build_of_another_version_is_not_kept(
    tools: Path, tmp_path: Path, bare_path: Path, script: Script
) -> None:
    builder = go(script, tmp_path, version="0.1.0")
    with pytest.raises(ProgramError, match=r"not version 0\.38\.1"):
        obtain_regal(tools, builder)
    assert list((tools / "bin").iterdir()) == []


def test_a_module_that_cannot_be_downloaded_is_an_error_of_one_line(
    tools: Path, tmp_path: Path, bare_path: Path, script: Script
) -> None:
    builder = script(tmp_path / "go", "echo 'go: no network' >&2; exit 1")
    with pytest.raises(ProgramError, match=r"cannot be downloaded: go: no network$"):
        obtain_regal(tools, builder)
