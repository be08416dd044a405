"""Runs ``admit`` as people do: the installed program, in a process of its own.

It runs in an empty folder, which must be as empty afterwards: a command that is not told where to
write writes where it is called from, and no test may leave anything there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("admit")
_KEPT = ("PATH", "HOME", "PYTHONPATH", "TMPDIR", "TZ", "ADMIT_OPA", "ADMIT_ENVOY")


def admit(
    *arguments: object, code: int = 0, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """Run a command and insist on its exit code; the outcome of another is shown."""
    known = {name: os.environ[name] for name in _KEPT if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="admit-") as here:
        done = subprocess.run(
            [PROGRAM, *(str(argument) for argument in arguments)],
            capture_output=True,
            check=False,
            cwd=here,
            env={**known, "COLUMNS": "200", **variables},
            timeout=120,
        )
        left = [path.name for path in Path(here).iterdir()]
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    assert left == [], (arguments, left)
    return done


def told(*arguments: object, code: int = 0, **variables: str) -> Any:
    """Run a command with ``--json`` and return what it says."""
    return json.loads(admit(*arguments, "--json", code=code, **variables).stdout)
