"""``admit`` of this checkout as a person would run it: a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from tests.policies.opa import ROOT


def admit(*arguments: object, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command and insist on its exit status; the outcome of another is shown."""
    done = subprocess.run(
        [sys.executable, "-m", "sidecar.cli", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
    return done


def told(*arguments: object, code: int = 0) -> Any:
    """Run a command with ``--json`` and return what it says."""
    return json.loads(admit(*arguments, "--json", code=code).stdout)
