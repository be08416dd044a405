"""An installation on disk for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process.service.site import Site, in_the_present


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return in_the_present(tmp_path, monkeypatch)
