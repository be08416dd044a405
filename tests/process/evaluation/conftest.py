"""Inspect AI where it is installed (`admit evaluate setup`), and suites to run on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import rfc8785
import yaml

from sidecar.evaluation.suite import SuiteFolder, read_suite
from tests.support.evaluation import evaluation_python


@pytest.fixture(scope="session")
def python() -> Path:
    """Interpreter of the evaluation environment; without it the test is skipped."""
    return evaluation_python()


class Suites:
    """Writes suites that pass answers which hold the case's reference."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str, cases: Mapping[str, Any], **header: Any) -> SuiteFolder:
        """Write a suite, and read it."""
        folder = self._folder / f"{len(list(self._folder.iterdir()))}"
        folder.mkdir()
        check = {"input": "{{ sample.output_text }}", "reference": "{{ item.reference }}"}
        grader = {"type": "string_check", "name": "has", "operation": "ilike", **check}
        settings = {
            "name": name,
            "kind": "regression",
            "threshold": 0.5,
            "generation": {"temperature": 0.0, "seed": 7, "max_tokens": 50},
            "grader": grader,
            **header,
        }
        (folder / "suite.yaml").write_text(yaml.safe_dump(settings))
        lines = [{"id": key, "input": text, "reference": "yes"} for key, text in cases.items()]
        (folder / "cases.jsonl").write_bytes(b"\n".join(rfc8785.dumps(line) for line in lines))
        (folder / "solver.txt").write_text("You are a support assistant.")
        return read_suite(folder)

    def folder(self, suite: SuiteFolder) -> Path:
        """Return where a suite was written."""
        (found,) = (
            each for each in self._folder.iterdir() if read_suite(each).digest == suite.digest
        )
        return found


@pytest.fixture
def make_suite(tmp_path_factory: pytest.TempPathFactory) -> Suites:
    return Suites(tmp_path_factory.mktemp("suites"))
