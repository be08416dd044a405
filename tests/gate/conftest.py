"""One real OPA over the real policies, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sidecar.gate.opa import Address
from tests.policies.opa import REVISION, OpaServer, build_bundle


@pytest.fixture(scope="package")
def opa_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    folder = tmp_path_factory.mktemp("opa")
    with OpaServer(build_bundle(folder), folder) as running:
        yield Address(f"unix://{running.socket}", REVISION)
