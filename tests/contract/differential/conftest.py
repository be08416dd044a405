"""The readers are started once for the folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.differential.upstreams import Upstreams, running


@pytest.fixture(scope="session")
def upstreams() -> Iterator[Upstreams]:
    with running() as started:
        yield started
