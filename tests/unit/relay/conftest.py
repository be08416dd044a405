"""What the relay's tests share with those of the control path."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.trust.operator import Operator


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """Three authorities that have published nothing but their roots yet."""
    return Operator(tmp_path / "operator")


@pytest.fixture
def published(operator: Operator) -> Operator:
    for repo in operator.repositories.values():
        repo.publish()
    return operator
