"""The reference configurations, running between a stand-in gate and a stand-in provider."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.process.envoy.sites import SITES, Wired, wire


@pytest.fixture(scope="session", params=SITES)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Wired]:
    """One Envoy for every test of one configuration."""
    with wire(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.fixture
def wired(running: Wired) -> Wired:
    """Each configuration as it stands, with nothing asked yet."""
    running.reset()
    return running
