from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.process.cli.parties import Parties, found
from tests.unit.binding.samples import lay_out


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The homes of five authorities; made once, since each takes processes of its own."""
    folder = tmp_path_factory.mktemp("founded")
    found(folder)
    return folder


@pytest.fixture(scope="module")
def parties(founded: Path, tmp_path_factory: pytest.TempPathFactory) -> Parties:
    """The five authorities, in homes of each module's own."""
    return Parties(Path(shutil.copytree(founded, tmp_path_factory.mktemp("parties") / "homes")))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample job and its files."""
    return lay_out(tmp_path_factory.mktemp("job"))
