"""Finds the pinned programs on this machine, and tells their versions by running them.

A program is looked for where the operator says (``ADMIT_OPA``, ``ADMIT_ENVOY``), then in
``.tools/bin``, then on PATH. What is found first decides: a wrong version there is an error that
says so, never a reason to look further and run something nobody expected.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sidecar.toolchain import versions
from sidecar.toolchain.errors import ToolchainError
from sidecar.toolchain.places import tools_folder

_VERSION_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Program:
    """A program this project pins.

    Attributes:
        name: As it is called on PATH.
        version: The one version that is accepted.
        variable: Environment variable with which an operator names another path.
        ask: Arguments that make it print its version.
        pattern: What in its output is the version (group 1).
        target: The target of ``make`` that obtains it.
    """

    name: str
    version: str
    variable: str
    ask: tuple[str, ...]
    pattern: str
    target: str = "setup"


OPA = Program("opa", versions.OPA, "ADMIT_OPA", ("version",), r"^Version: (\S+)$")
ENVOY = Program(
    "envoy", versions.ENVOY, "ADMIT_ENVOY", ("--version",), r"version: [0-9a-f]+/([^/\s]+)/"
)
NODE = Program("node", versions.NODE, "ADMIT_NODE", ("--version",), r"^v(\S+)$", "unit")


def opa_path() -> Path:
    """Where the pinned OPA is.

    Raises:
        ToolchainError: There is none, or it is another version.
    """
    return locate(OPA)


def envoy_path() -> Path:
    """Where the pinned Envoy is.

    Raises:
        ToolchainError: There is none, or it is another version.
    """
    return locate(ENVOY)


def node_path() -> Path:
    """Where the pinned Node is; only tests need it.

    Raises:
        ToolchainError: There is none, or it is another version.
    """
    return locate(NODE)


def go_path() -> Path:
    """Where some Go is: on PATH, else the pinned one; only builds and tests need it.

    Raises:
        ToolchainError: There is none.
    """
    on_path = shutil.which("go")
    local = pinned_go(tools_folder())
    if on_path is None and not local.exists():
        raise ToolchainError("go is not here; run `make unit`, or install Go ≥ 1.26")
    return local if on_path is None else Path(on_path)


def pinned_go(tools: Path) -> Path:
    """Where the pinned Go is kept, whether it is there or not."""
    return tools / f"go-{versions.GO}" / "go" / "bin" / "go"


def locate(program: Program) -> Path:
    """Find `program` and make sure that it is the pinned version.

    Raises:
        ToolchainError: There is none, or it is another version.
    """
    path = _first(program)
    found = version_of(program, path)
    if found != program.version:
        raise ToolchainError(
            f"{path} is {program.name} {found or 'of unknown version'}, not {program.version};"
            f" run `make {program.target}` or set {program.variable}"
        )
    return path


def _first(program: Program) -> Path:
    named = os.environ.get(program.variable)
    if named:
        return Path(named)
    local = tools_folder() / "bin" / program.name
    if local.exists():
        return local
    on_path = shutil.which(program.name)
    if on_path is None:
        raise ToolchainError(
            f"{program.name} {program.version} is not here; run `make {program.target}`"
            f" or set {program.variable} to its path"
        )
    return Path(on_path)


def version_of(program: Program, path: Path) -> str | None:
    """The version `path` prints of itself, or None where it prints none.

    Raises:
        ToolchainError: It cannot be run.
    """
    try:
        ran = subprocess.run(
            [str(path), *program.ask],
            capture_output=True,
            text=True,
            timeout=_VERSION_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolchainError(f"{path} cannot be run ({error}); run `make setup`") from error
    match = re.search(program.pattern, ran.stdout, re.MULTILINE)
    return match.group(1) if match and ran.returncode == 0 else None
