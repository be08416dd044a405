"""One stage for all: real authorities, gate, OPA and Envoy in the admitted state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.support.site import Site
from tests.integration.support.stand import Stand, standing
from tests.integration.support.talk import Talk


@pytest.fixture(scope="session")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """The shared stage. Tests leave it as they found it."""
    with standing(tmp_path_factory.mktemp("stage") / "demo") as running:
        yield running


@pytest.fixture
def talk(stand: Stand) -> Talk:
    """The shared stage's gateway."""
    return stand.talk


@pytest.fixture
def site(stand: Stand, tmp_path: Path) -> Iterator[Site]:
    """A machine of one's own, not started; whatever was started is stopped."""
    with Site(stand, tmp_path / "site") as made:
        yield made
