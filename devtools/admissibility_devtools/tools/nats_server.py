"""Obtains the pinned NATS server by building it with Go; only tests need it."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from admissibility_devtools.tools import pins
from admissibility_devtools.tools.find import NATS
from admissibility_devtools.tools.progress import run_shown
from sidecar.opa.errors import ProgramError
from sidecar.opa.location import version_of


def obtain_nats_server(tools: Path, go: Path) -> Path:
    """Take the pinned NATS server from ``tools`` or PATH, or build it.

    The module and its dependencies are checked against Go's checksum database before they are
    compiled.

    Args:
        tools: The folder to keep it in.
        go: The Go toolchain that builds it.

    Raises:
        ProgramError: It cannot be built, or what was built is not the pinned version.
    """
    place = tools / "bin" / NATS.name
    on_path = shutil.which(NATS.name)
    for found in (place, *([] if on_path is None else [Path(on_path)])):
        if _is_pinned(found):
            return found
    with tempfile.TemporaryDirectory(dir=tools) as scratch:
        folder = Path(scratch).absolute()
        run_shown(
            [str(go), "install", "-trimpath", pins.NATS_MODULE],
            label=f"building NATS server {pins.NATS} with Go (about a minute)",
            log=tools / "log" / "nats-server-build.log",
            environment={
                **os.environ,
                "GOBIN": str(folder),
                "CGO_ENABLED": "0",
                "GOTOOLCHAIN": "local",
            },
        )
        built = folder / NATS.name
        if not _is_pinned(built):
            raise ProgramError(f"{built.name}: what was built is not version {pins.NATS}")
        built.replace(place)
    return place


def _is_pinned(path: Path) -> bool:
    try:
        return path.exists() and version_of(NATS, path) == NATS.version
    except ProgramError:
        return False  # a broken program is replaced
