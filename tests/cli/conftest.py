from __future__ import annotations

from pathlib import Path

import pytest

from tests.binding.samples import lay_out
from tests.cli.parties import Parties


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Parties:
    """Five authorities; made once for a module, since each is a process of its own."""
    return Parties(tmp_path_factory.mktemp("parties"))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample job and its files."""
    return lay_out(tmp_path_factory.mktemp("job"))
