"""Runs commands of the OPA program, and builds the command line of its server.

Theory of operation. Every use of the program goes through here, so that each is bounded in time,
reads nothing from the terminal, and fails with an error of one line. A *server* is started with
``server_args`` on a Unix socket that only this user can reach, and verifies a bundle that carries a
verification key before it serves it. The bundle owns every path, so that OPA itself refuses to add,
change or remove policies and data; ``system.authz``, which OPA would evaluate for each request, is
for an OPA that other users can reach.

No orphan. A server must not outlive the process that started it. Linux guarantees that with
``PR_SET_PDEATHSIG``, which only the child can set; a small Python launcher sets it, checks that its
parent still runs, and executes OPA.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sidecar.opa.errors import PolicyError
from sidecar.opa.signing import SCOPE, VerificationKey

MAX_QUESTION_BYTES = 4 << 20
# OPA's heap is small and every query leaves garbage, so with Go's default (100) collection takes
# over a third of OPA's time; this costs a server some 25 MB, a run of tests with coverage 80 MB.
# The operator's own setting takes precedence.
_GARBAGE_PERCENT = "400"
COMMAND_SECONDS = 120.0
_MAX_REFUSAL_CHARS = 500
_LAUNCHER = (
    "import ctypes,os,sys\n"
    "ctypes.CDLL(None, use_errno=True).prctl(1, int(sys.argv[2]))\n"  # PR_SET_PDEATHSIG
    "if os.getppid() != int(sys.argv[1]): sys.exit(1)\n"
    "os.execv(sys.argv[3], sys.argv[3:])\n"
)


def ends_with_parent(arguments: Sequence[str], number: signal.Signals) -> list[str]:
    """Return the command line of a program that the kernel ends with this process.

    Linux takes the thread that starts a child for its parent, so start it in one that stays.

    Args:
        arguments: The program's path, and its arguments.
        number: The signal that it gets, however this process ends.
    """
    parent, own = str(os.getpid()), str(int(number))
    return [sys.executable, "-I", "-S", "-c", _LAUNCHER, parent, own, *arguments]


def run(
    opa: Path, *arguments: str | Path, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run one command of OPA; the caller checks its exit status.

    Args:
        opa: The program.
        arguments: The command and its options.
        folder: Working directory.

    Raises:
        PolicyError: It cannot be run, or does not end in time.
    """
    try:
        return subprocess.run(
            [str(opa), *map(str, arguments)],
            cwd=folder,
            env=process_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PolicyError(f"{opa} cannot be run: {error}") from error


def run_checked(opa: Path, *arguments: str | Path, folder: Path | None = None) -> str:
    """Run one command of OPA and return what it printed.

    Raises:
        PolicyError: It cannot be run, or it fails; the message is OPA's output, without ``folder``.
    """
    ran = run(opa, *arguments, folder=folder)
    if ran.returncode != 0:
        raise PolicyError(f"OPA refuses the policies: {refusal(ran, folder)}")
    return ran.stdout


def run_json(opa: Path, *arguments: str | Path, folder: Path | None = None) -> Any:  # noqa: ANN401 - JSON
    """Run one command that prints JSON and return its value.

    Raises:
        PolicyError: It cannot be run, it fails, or its output is not JSON.
    """
    text = run_checked(opa, *arguments, folder=folder)
    try:
        return json.loads(text)
    except ValueError as error:
        raise PolicyError(f"OPA's answer to {arguments[0]} is not JSON: {error}") from error


def refusal(ran: subprocess.CompletedProcess[str], folder: Path | None = None) -> str:
    """Return OPA's output as one short line, with paths below ``folder`` made relative."""
    text = " ".join((ran.stderr or ran.stdout).split())
    text = text or f"{ran.args[0]} exited with status {ran.returncode} and printed nothing"
    if folder is not None:
        # OPA drops the leading slash of paths in a bundle.
        text = re.sub(rf"/?{re.escape(str(folder).lstrip('/'))}/", "", text)
    return text.removeprefix("error: ")[:_MAX_REFUSAL_CHARS]


def server_args(
    opa: Path, bundle: Path, socket: Path, verification: VerificationKey | None
) -> list[str]:
    """Return the command line of a server that ends with its parent.

    Args:
        opa: The program.
        bundle: The bundle that it serves.
        socket: The Unix socket that it listens on, mode 0600.
        verification: The key that must have signed the bundle; ``None`` for an unsigned one.
    """
    words = [
        *(str(opa), "run", "--server"),
        *("--addr", f"unix://{socket}", "--unix-socket-perm", "600"),
        *("--bundle", str(bundle)),
        *("--set", f"server.decoding.max_length={MAX_QUESTION_BYTES}"),
        *("--log-level", "error", "--log-format", "json"),
        *("--skip-version-check", "--shutdown-grace-period", "1"),
    ]
    if verification is not None:
        words += verification_args(verification)
    return ends_with_parent(words, signal.SIGKILL)


def process_environment() -> dict[str, str]:
    """Return the environment variables of a command or a server."""
    return {"GOGC": _GARBAGE_PERCENT, **os.environ}


def verification_args(key: VerificationKey) -> list[str]:
    """Return the options that make OPA verify a bundle."""
    return [
        *("--verification-key", str(key.path)),
        *("--signing-alg", key.algorithm),
        *("--scope", SCOPE),
    ]
