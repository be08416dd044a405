"""Prepare the tests of one mutant; a pytest plugin for mutmut.

mutmut runs a mutant's tests in a fork of the process in which all tests passed: those that reached
the changed function. What was computed before would answer in its place, in either process, so it
is forgotten before each test. And mutmut gives the tests as an unordered set and stops at the first
failure: the quickest come first, as measured when the mutants were made, so that most mutants cost
a fraction of a second.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

STATS = Path("mutmut-stats.json")
TABLES = (("sidecar.core.wire", "_FOLDED"),)
"""Dictionaries that keep what functions computed, as module and name."""


def pytest_runtest_setup() -> None:
    """Forget what the code under test has kept so far."""
    for name, module in tuple(sys.modules.items()):
        if name.startswith("sidecar."):
            for value in tuple(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
    for name, table in TABLES:
        if name in sys.modules:
            getattr(sys.modules[name], table).clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort collected tests by measured duration, then by name; unmeasured ones come first."""
    durations = json.loads(STATS.read_text())["duration_by_test"] if STATS.exists() else {}
    items.sort(key=lambda item: (durations.get(item.nodeid, 0.0), item.nodeid))
