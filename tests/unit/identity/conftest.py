"""An issuer of credentials with its trust domain."""

from __future__ import annotations

import pytest

from tests.support.gate.credentials import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()
