"""Tests of the core share what ``PublicKey.verifies`` answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.simulator.verified_once import verified_once


@pytest.fixture(scope="session", autouse=True)
def answers() -> Iterator[None]:
    with verified_once():
        yield
