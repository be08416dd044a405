"""What the tests of the control path share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.trust.operator import Operator
from tests.unit.trust.repository import Repository


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """Three authorities that have published nothing but their roots yet."""
    return Operator(tmp_path / "operator")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "repository", "acme")
    made.publish()
    return made


@pytest.fixture
def published(operator: Operator) -> Operator:
    for repo in operator.repositories.values():
        repo.publish()
    return operator
