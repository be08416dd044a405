"""How many examples are drawn, and which: the same ones in every run, on a machine of any speed.

A run that fails is about the change, not about luck or a busy machine. ``quick`` draws a tenth,
``soak`` twenty times as many; ``explore`` draws others (``pytest --hypothesis-profile explore``).
``make fuzz`` searches further.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
_FIXED = settings(_PATIENT, derandomize=True, database=None)
settings.register_profile("explore", _PATIENT)
settings.register_profile("suite", _FIXED)
settings.register_profile("quick", _FIXED, max_examples=10)
settings.register_profile("soak", _PATIENT, max_examples=2000)
settings.load_profile("suite")


@pytest.fixture
def run_folder() -> Iterator[Path]:
    """A folder for sockets: their paths have at most 107 bytes, and a test's own folder is long."""
    with tempfile.TemporaryDirectory(prefix="run") as folder:
        yield Path(folder)
