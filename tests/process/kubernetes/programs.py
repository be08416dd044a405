"""Programs that read Kubernetes objects; a test that needs one is skipped without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.opa.errors import ProgramError
from sidecar.opa.location import Program, locate


def program(wanted: Program) -> Path:
    """The pinned program; skips the test that asks, with the reason, where it is not to be had."""
    try:
        return locate(wanted)
    except ProgramError as error:
        pytest.skip(str(error))
