"""Order the tests of one mutant: the quickest first, as measured when the mutants were made.

A pytest plugin for mutmut, which gives the tests of a mutant as an unordered set and stops at the
first failure: most mutants then cost a fraction of a second.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

STATS = Path("mutmut-stats.json")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort collected tests by measured duration, then by name; unmeasured ones come first."""
    durations = json.loads(STATS.read_text())["duration_by_test"] if STATS.exists() else {}
    items.sort(key=lambda item: (durations.get(item.nodeid, 0.0), item.nodeid))
