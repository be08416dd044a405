"""Builds a pinned program from a Go module whose digest is pinned; only tests need such programs.

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
from dataclasses import dataclass
from pathlib import Path

from admissibility_devtools.tools.progress import run_shown
from sidecar.opa.errors import ProgramError
from sidecar.opa.location import Program, version_of

_DOWNLOAD_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GoBuild:
    """How a program is built.

    Attributes:
        program: What is built, with the accepted version.
        title: Its name in what is shown to the person who waits.
        module: Path and version, as ``go mod download`` takes them.
        digest: Of the module, as in a ``go.sum``.
        package: Of the program inside the module.
        version_variable: Go variable that the build sets to the version; empty for none.
        minutes: What a build takes, for the person who waits.
    """

    program: Program
    title: str
    module: str
    digest: str
    package: str = "."
    version_variable: str = ""
    minutes: str = "about a minute"


def obtain_built(build: GoBuild, tools: Path, go: Path) -> Path:
    """Take the pinned program from ``tools`` or PATH, or build it.

    Args:
        build: What to build, and from what.
        tools: The folder to keep it in.
        go: The Go toolchain that builds it.

    Raises:
        ProgramError: It cannot be downloaded or built, or its digest is not the pinned one.
    """
    program = build.program
    place = tools / "bin" / program.name
    on_path = shutil.which(program.name)
    for found in (place, *([] if on_path is None else [Path(on_path)])):
        if _is_pinned(program, found):
            return found
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}
    sources = _verified_sources(build, go, environment)
    with tempfile.TemporaryDirectory(dir=tools) as scratch:
        built = Path(scratch).absolute() / program.name  # Go writes it from another folder
        run_shown(
            [
                *(str(go), "build", "-C", str(sources), "-mod=readonly", "-trimpath"),
                *_version_flags(build),
                *("-o", str(built), build.package),
            ],
            label=f"building {build.title} {program.version} with Go ({build.minutes})",
            log=tools / "log" / f"{program.name}-build.log",
            environment=environment,
        )
        if not _is_pinned(program, built):
            raise ProgramError(f"{built.name}: what was built is not version {program.version}")
        built.replace(place)
    return place


def _version_flags(build: GoBuild) -> tuple[str, ...]:
    if not build.version_variable:
        return ()
    return "-ldflags", f"-X {build.version_variable}={build.program.version}"


def _is_pinned(program: Program, path: Path) -> bool:
    try:
        return path.exists() and version_of(program, path) == program.version
    except ProgramError:
        return False  # a broken program is replaced


def _verified_sources(build: GoBuild, go: Path, environment: dict[str, str]) -> Path:
    """Download the module and return its folder, once its digest is the pinned one."""
    try:
        ran = subprocess.run(
            [str(go), "mod", "download", "-json", build.module],
            env={**environment, "GONOSUMDB": build.module.partition("@")[0]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
            check=False,
        )
        module = json.loads(ran.stdout or "{}")
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise ProgramError(f"{build.module} cannot be downloaded: {error}") from error
    if ran.returncode != 0 or "Error" in module:
        why = " ".join(str(module.get("Error") or ran.stderr).split())
        raise ProgramError(f"{build.module} cannot be downloaded: {why[:500]}")
    if module.get("Sum") != build.digest:
        raise ProgramError(
            f"{build.module} has digest {module.get('Sum')}, expected {build.digest};"
            " it was not built"
        )
    return Path(str(module["Dir"]))
