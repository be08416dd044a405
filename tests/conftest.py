"""How many examples are drawn, and which: the same ones in every run, on a machine of any speed.

A run that fails is about the change, not about luck or a busy machine. ``quick`` draws a tenth,
``soak`` forty times as many; ``explore`` draws others (``pytest --hypothesis-profile explore``).
``make fuzz`` searches further.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
_FIXED = settings(_PATIENT, derandomize=True, database=None)
settings.register_profile("explore", _PATIENT)
settings.register_profile("suite", _FIXED)
settings.register_profile("quick", _FIXED, max_examples=10)
settings.register_profile("soak", _PATIENT, max_examples=4000)
settings.load_profile("suite")


LONGEST = (
    "unit/laws/test_histories.py",
    "process/policy/test_scaffolded.py",
    "e2e/test_wheel.py",
    "e2e/demo/test_story.py",
    "e2e/gate/test_life_of_a_model.py",
    "process/evaluation/test_run.py",
    "e2e/gate/test_policy_afternoon.py",
    "unit/laws/test_properties.py",
    "unit/binder/test_binder.py",
    "unit/envoy_extauthz_lint/test_rules.py",
    "process/registration/test_files.py",
    "process/service/test_flood.py",
    "process/envoy/test_body_counting.py",
    "process/docs/test_guides.py",
)
"""Files that take a worker longest, the longest first: begun last, one of them alone would end the
run. `pytest -n 3 --durations 30` shows them."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Import the tests without collecting garbage, and never look through what they imported.

    Two fifths of a worker's time until its first test went into that (ADR 110).
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files, and keep the order of the others."""
    rank = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


@pytest.fixture
def run_folder() -> Iterator[Path]:
    """A folder for sockets: their paths have at most 107 bytes, and a test's own folder is long."""
    with tempfile.TemporaryDirectory(prefix="run") as folder:
        yield Path(folder)
