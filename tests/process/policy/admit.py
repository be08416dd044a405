"""``admit`` as a person would run it, and what it says as text."""

from __future__ import annotations

import subprocess

from tests.process.cli import admit as program
from tests.process.cli.admit import told

__all__ = ["admit", "told"]


def admit(*arguments: object, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command and insist on its exit status; the outcome of another is shown."""
    done = program.admit(*arguments, code=code, **variables)
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )
