from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.authority import home as authority
from sidecar.authority.open_home import Home
from tests.unit.authority.reader import NOW, Reader


@pytest.fixture
def acme(tmp_path: Path) -> Home:
    """An authority that was just created."""
    return authority.init(tmp_path / "acme", "acme", now=NOW)


@pytest.fixture
def pinned(tmp_path: Path) -> Callable[[Home], Reader]:
    """Makes readers that pin the first root."""
    made = 0

    def pin(home: Home) -> Reader:
        nonlocal made
        made += 1
        root = authority.root_bytes(home)
        return Reader(root, home.repository, tmp_path / f"reader-{made}")

    return pin
