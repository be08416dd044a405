"""One real OPA over the real policies for all process tests, and an issuer of credentials."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sidecar.opa.client import Address
from tests.process.policies.opa import REVISION, OpaServer, build_bundle
from tests.support.gate.credentials import Bench


@pytest.fixture(scope="session")
def opa_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    folder = tmp_path_factory.mktemp("opa")
    with OpaServer(build_bundle(folder), folder) as running:
        yield Address(f"unix://{running.socket}", REVISION)


@pytest.fixture
def bench() -> Bench:
    return Bench()
