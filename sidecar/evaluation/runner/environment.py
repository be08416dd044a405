"""Makes the environment in which Inspect AI runs, from a lock of its own with hashes.

Inspect and all that it needs are 80 packages, some of them in versions that the gate must not be
held to. So they have an interpreter environment of their own, named by the digest of their lock: it
is made once, found again without a network, and never changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

from sidecar.evaluation.errors import EvaluationError

VARIABLE = "ADMIT_EVALUATE_PYTHON"
"""Names the interpreter of an environment that holds Inspect AI, instead of the one made here."""

REMEDY = "admit evaluate setup"
_READY = "ready"
_SECONDS = 1800.0


def requirements() -> bytes:
    """Return the lock."""
    return (files("sidecar.evaluation.runner") / "requirements.txt").read_bytes()


def version() -> str:
    """Return the locked version of Inspect AI.

    Raises:
        EvaluationError: The lock has none.
    """
    found = re.search(rb"^inspect-ai==(\S+)", requirements(), re.MULTILINE)
    if found is None:
        raise EvaluationError("the lock of the evaluation environment has no inspect-ai")
    return found[1].decode()


def environment_folder(tools: Path) -> Path:
    """Return the folder of the environment, below the folder of obtained programs."""
    return tools / f"inspect-{hashlib.sha256(requirements()).hexdigest()[:16]}"


def interpreter(tools: Path | None) -> Path:
    """Return the interpreter of the environment.

    Raises:
        EvaluationError: It has not been made.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    if tools is not None and (environment_folder(tools) / _READY).exists():
        return environment_folder(tools) / "bin" / "python"
    raise EvaluationError(
        f"Inspect AI {version()} is not installed; run `{REMEDY}`, or set {VARIABLE} to the"
        " interpreter of an environment that holds it"
    )


def make(tools: Path) -> Path:
    """Make the environment, if it is not there; return its interpreter.

    Raises:
        EvaluationError: It could not be installed; the message ends with the installer's last line.
    """
    folder = environment_folder(tools)
    tools.mkdir(parents=True, exist_ok=True)
    with (tools / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process made it at the same moment
        if not (folder / _READY).exists():
            shutil.rmtree(folder, ignore_errors=True)  # left by an interrupted one
            _run([sys.executable, "-m", "venv", str(folder)], "no environment could be made")
            lock_file = folder / "requirements.txt"
            lock_file.write_bytes(requirements())
            _run(
                [
                    *(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"),
                    *("--disable-pip-version-check", "--no-input", "--require-hashes"),
                    *("--only-binary", ":all:", "-r", str(lock_file)),
                ],
                f"Inspect AI {version()} could not be installed",
            )
            (folder / _READY).touch()
    return folder / "bin" / "python"


def _run(command: list[str], what: str) -> None:
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EvaluationError(f"{what}: {error}") from error
    if ran.returncode != 0:
        lines = (ran.stderr or ran.stdout).strip().splitlines()
        raise EvaluationError(f"{what}: {lines[-1] if lines else f'status {ran.returncode}'}")
