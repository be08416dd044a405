"""The NATS server is built once, at the pinned version, and kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from admissibility_devtools.tools import pins
from admissibility_devtools.tools.nats_server import obtain_nats_server
from sidecar.opa.errors import ProgramError
from tests.process.tools.conftest import Script

BUILDS = """
[ "$*" = "install -trimpath {module}" ] && [ "$CGO_ENABLED" = 0 ] || exit 3
printf '#!/bin/sh\\necho "nats-server: v{version}"\\n' > "$GOBIN/nats-server"
chmod 755 "$GOBIN/nats-server"
"""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "tools"
    (folder / "bin").mkdir(parents=True)
    return folder


def go(script: Script, folder: Path, version: str) -> Path:
    return script(folder / "go", BUILDS.format(module=pins.NATS_MODULE, version=version))


def test_the_pinned_server_is_built_once(
    tools: Path, tmp_path: Path, bare_path: Path, script: Script
) -> None:
    builder = go(script, tmp_path, pins.NATS)
    assert obtain_nats_server(tools, builder) == tools / "bin" / "nats-server"
    builder.unlink()
    assert obtain_nats_server(tools, builder) == tools / "bin" / "nats-server"


def test_a_server_of_another_version_is_not_kept(
    tools: Path, tmp_path: Path, bare_path: Path, script: Script
) -> None:
    with pytest.raises(ProgramError, match=r"not version "):
        obtain_nats_server(tools, go(script, tmp_path, "2.9.10"))
    assert list((tools / "bin").iterdir()) == []
