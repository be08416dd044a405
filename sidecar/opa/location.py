"""Finds a pinned program on this machine, and checks the version it prints.

A program is looked for where its environment variable names it (``ADMIT_OPA``), then in ``bin`` of
the folder of obtained programs (see `tools_folder`), then on PATH. The first one found is used: if
it has another version, that is an error, never a reason to run an unexpected one from elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sidecar.opa.errors import ProgramError
from sidecar.resources import source_tree, versions

TOOLS_VARIABLE = "ADMIT_TOOLS"
_IN_CHECKOUT = ".tools"
_IN_CACHE = "admissibility"
_VERSION_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Program:
    """A program of which one version is accepted.

    Attributes:
        name: File name on PATH.
        version: The accepted version.
        variable: Environment variable with which an operator names its path.
        version_args: Arguments that make it print its version.
        version_pattern: Regular expression that finds the version in its output, as group 1.
        remedy: Command that obtains it; None for the one that obtains OPA and Envoy.
    """

    name: str
    version: str
    variable: str
    version_args: tuple[str, ...]
    version_pattern: str
    remedy: str | None = None


OPA = Program("opa", versions.OPA, "ADMIT_OPA", ("version",), r"^Version: (\S+)$")


def opa_path() -> Path:
    """Return the path of the pinned OPA.

    Raises:
        ProgramError: It is not found, or has another version.
    """
    return locate(OPA)


def locate(program: Program) -> Path:
    """Find ``program`` and check that it has the pinned version.

    Raises:
        ProgramError: It is not found, or has another version.
    """
    path = _first(program)
    found = version_of(program, path)
    if found != program.version:
        raise ProgramError(
            f"{path} is {program.name} {found or 'of unknown version'}, expected"
            f" {program.version}; run `{program.remedy or _remedy()}` or set {program.variable}"
        )
    return path


def _first(program: Program) -> Path:
    named = os.environ.get(program.variable)
    if named:
        return Path(named)
    tools = tools_folder()
    if tools is not None and (tools / "bin" / program.name).exists():
        return tools / "bin" / program.name
    on_path = shutil.which(program.name)
    if on_path is None:
        looked = "on PATH" if tools is None else f"in {tools / 'bin'} or on PATH"
        raise ProgramError(
            f"{program.name} {program.version} is not {looked}; run"
            f" `{program.remedy or _remedy()}` or set {program.variable} to its path"
        )
    return Path(on_path)


_Identity = tuple[int, int, int, int, int]
"""Device, inode, bytes, and the times in ns at which content and file last changed."""

_ELF = b"\x7fELF"
_known: dict[tuple[Program, _Identity], str] = {}


def version_of(program: Program, path: Path) -> str | None:
    """Return the version that ``path`` prints, or None if it prints none or fails.

    A binary is run once for as long as its file is the same: one start of Envoy or OPA costs as
    much as the shortest commands do in all. What a script runs may change without it, so it is run
    each time.

    Raises:
        ProgramError: It cannot be run.
    """
    identity = _binary(path)
    if identity is not None and (program, identity) in _known:
        return _known[program, identity]
    found = _printed(program, path)
    if identity is not None and found is not None:
        _known[program, identity] = found
    return found


def _binary(path: Path) -> _Identity | None:
    """Return the identity of a binary; None for a script, or what is unreadable."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if file.read(len(_ELF)) != _ELF:
                return None
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _printed(program: Program, path: Path) -> str | None:
    try:
        ran = subprocess.run(
            [str(path), *program.version_args],
            capture_output=True,
            text=True,
            timeout=_VERSION_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProgramError(
            f"{path} cannot be run ({error}); run `{program.remedy or _remedy()}`"
            f" or set {program.variable} to another one"
        ) from error
    match = re.search(program.version_pattern, ran.stdout, re.MULTILINE)
    return match.group(1) if match and ran.returncode == 0 else None


def tools_folder() -> Path | None:
    """Return the folder of the obtained programs, whether it exists or not.

    It is what ``ADMIT_TOOLS`` names, else ``.tools`` of the checkout, else ``admissibility`` in the
    user's cache (``XDG_CACHE_HOME`` or ``~/.cache``): never the working directory, whose content
    other users may have written, and never the folder the package is installed in.

    Returns:
        An absolute path; None for a user without a home.
    """
    named = os.environ.get(TOOLS_VARIABLE)
    if named:
        return Path(named).absolute()
    root = source_tree()
    if root is not None:
        return root / _IN_CHECKOUT
    # XDG Base Directory Specification 0.8: a relative path there is invalid and is ignored.
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if cache and Path(cache).is_absolute():
        return Path(cache) / _IN_CACHE
    try:
        return Path.home() / ".cache" / _IN_CACHE
    except RuntimeError:
        return None


def _remedy() -> str:
    """Return the command that obtains the programs, as it is called in this installation."""
    return "admit tools" if source_tree() is None else "make setup"
