"""Runs ``admit`` as people do: a program of its own, with its own folder, variables and streams.

The product is imported once for all calls (``tests.support.admit_server``); the installed program
has tests of its own (``tests/e2e/test_wheel.py``). It runs in an empty folder, which must be as
empty afterwards: a command that is not told where to write writes where it is called from, and no
test may leave anything there.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from tests.support.admit_server import admit_on_path

PROGRAM = Path(sys.executable).with_name("admit")
"""The installed program, for what must be a process of its own to be stopped."""

_KEPT = ("PATH", "HOME", "PYTHONPATH", "TMPDIR", "TZ", "ADMIT_OPA", "ADMIT_ENVOY")


@cache
def _program() -> tuple[str, dict[str, str]]:
    """Start the server for this process; return the program and the variables that it needs."""
    stack = ExitStack()
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="admit-"))
    variables = stack.enter_context(admit_on_path(Path(folder)))
    atexit.register(stack.close)
    return str(Path(variables.pop("PATH")) / "admit"), variables


def admit(
    *arguments: object, code: int = 0, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command and insist on its exit code; the outcome of another is shown."""
    program, needed = _program()
    known = {name: os.environ[name] for name in _KEPT if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="admit-") as here:
        done = subprocess.run(
            [program, *(str(argument) for argument in arguments)],
            capture_output=True,
            check=False,
            cwd=here,
            env={**known, **needed, "COLUMNS": "200", **variables},
            timeout=120,
        )
        left = [path.name for path in Path(here).iterdir()]
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    assert left == [], (arguments, left)
    return done


def told(*arguments: object, code: int = 0, **variables: str) -> Any:
    """Run a command with ``--json`` and return what it says."""
    return json.loads(admit(*arguments, "--json", code=code, **variables).stdout)
