"""The workers that run the tests: every test has an outcome, also where its worker dies."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
OUTCOMES = """
import os, warnings, pytest

@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    yield tmp_path_factory.getbasetemp()

def test_passes(shared):
    print("never shown")

def test_fails(shared):
    print("shown")
    assert [1] == [2]

@pytest.mark.skip(reason="by intent")
def test_skipped(): ...

def test_warns():
    warnings.warn("look here")

def test_has_a_folder_of_its_worker(shared, tmp_path):
    assert tmp_path.parent == shared and shared.name in ("w0", "w1")
"""
DIES = """
import os

def test_lives(): ...

def test_dies():
    os._exit(0)

def test_never_begins(): ...
"""
TEARDOWN = """
import pytest

@pytest.fixture(scope="session")
def stage():
    yield
    raise ValueError("the stage did not end")

def test_uses_it(stage): ...
"""
THREAD = """
import threading

threading.Thread(target=threading.Event().wait, daemon=True).start()

def test_nothing(): ...
"""


def run(folder: Path, *arguments: str, **files: str) -> tuple[int, str]:
    """Run files of tests in two workers; return the exit code and what was printed."""
    for name, text in files.items():
        (folder / f"test_{name}.py").write_text(text)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider"),
            *("-p", "tests.support.workers", "--workers", "2", "--rootdir", str(folder)),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
    )
    return done.returncode, done.stdout + done.stderr


def test_every_test_has_its_outcome_and_a_worker_that_dies_loses_none(tmp_path: Path) -> None:
    code, shown = run(tmp_path, outcomes=OUTCOMES, dies=DIES, teardown=TEARDOWN)
    assert code == 1
    assert sorted(re.findall(r"^([A-Z]+) test_(\w+)\.py::(\w+)", shown, re.MULTILINE)) == [
        ("ERROR", "teardown", "test_uses_it"),
        ("FAILED", "dies", "test_dies"),
        ("FAILED", "dies", "test_never_begins"),
        ("FAILED", "outcomes", "test_fails"),
    ]
    assert "3 failed, 5 passed, 1 skipped, 1 warning, 1 error" in shown
    assert "look here" in shown
    assert "shown" in shown
    assert "never shown" not in shown


def test_the_first_failure_ends_a_run_that_asks_for_it(tmp_path: Path) -> None:
    code, shown = run(tmp_path, "-x", outcomes=OUTCOMES)
    assert code == 1
    assert "1 failed, 1 passed" in shown


def test_a_module_that_starts_a_thread_when_it_is_imported_is_refused(tmp_path: Path) -> None:
    code, shown = run(tmp_path, thread=THREAD)
    assert code != 0
    assert "threads started by imports of test modules: 1" in shown
