"""Obtains the pinned Regal, the linter of Rego, by building it with Go; only tests need it.

Theory of operation. Go's checksum database need not know the module, so it is downloaded first and
its digest (``h1:``, as in a ``go.sum``) compared with the pinned one; it is then built in its own
folder, where its ``go.sum`` verifies every dependency. Nothing is compiled before that comparison.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from admissibility_devtools.tools import pins
from admissibility_devtools.tools.find import REGAL
from admissibility_devtools.tools.progress import run_shown
from sidecar.opa.errors import ProgramError
from sidecar.opa.location import version_of

_DOWNLOAD_SECONDS = 300.0
_VERSION_VARIABLE = "github.com/open-policy-agent/regal/pkg/version.Version"


def obtain_regal(tools: Path, go: Path) -> Path:
    """Take the pinned Regal from ``tools`` or PATH, or build it.

    Args:
        tools: The folder to keep it in.
        go: The Go toolchain that builds it.

    Raises:
        ProgramError: It cannot be downloaded or built, or its digest is not the pinned one.
    """
    place = tools / "bin" / REGAL.name
    on_path = shutil.which(REGAL.name)
    for found in (place, *([] if on_path is None else [Path(on_path)])):
        if _is_pinned(found):
            return found
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    sources = _verified_sources(go, environment)
    with tempfile.TemporaryDirectory(dir=tools) as scratch:
        built = Path(scratch).absolute() / REGAL.name  # Go writes it from another folder
        run_shown(
            [
                *(str(go), "build", "-C", str(sources), "-mod=readonly", "-trimpath"),
                *("-ldflags", f"-X {_VERSION_VARIABLE}={pins.REGAL}", "-o", str(built), "."),
            ],
            label=f"building Regal {pins.REGAL} with Go (about a minute)",
            log=tools / "log" / "regal-build.log",
            environment=environment,
        )
        if not _is_pinned(built):
            raise ProgramError(f"{built.name}: what was built is not version {pins.REGAL}")
        built.replace(place)
    return place


def _is_pinned(path: Path) -> bool:
    try:
        return path.exists() and version_of(REGAL, path) == REGAL.version
    except ProgramError:
        return False  # a broken program is replaced


def _verified_sources(go: Path, environment: dict[str, str]) -> Path:
    """Download the module and return its folder, once its digest is the pinned one."""
    try:
        ran = subprocess.run(
            [str(go), "mod", "download", "-json", pins.REGAL_MODULE],
            env={**environment, "GONOSUMDB": pins.REGAL_MODULE.partition("@")[0]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
            check=False,
        )
        module = json.loads(ran.stdout or "{}")
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise ProgramError(f"{pins.REGAL_MODULE} cannot be downloaded: {error}") from error
    if ran.returncode != 0 or "Error" in module:
        why = " ".join(str(module.get("Error") or ran.stderr).split())
        raise ProgramError(f"{pins.REGAL_MODULE} cannot be downloaded: {why[:500]}")
    if module.get("Sum") != pins.REGAL_SUM:
        raise ProgramError(
            f"{pins.REGAL_MODULE} has digest {module.get('Sum')}, expected {pins.REGAL_SUM};"
            " it was not built"
        )
    return Path(str(module["Dir"]))
