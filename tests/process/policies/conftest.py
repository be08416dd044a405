"""One OPA server over the bundle of the policies, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.process.policies.opa import OpaServer, build_bundle, copy_policies, enforce_all
from tests.process.policies.parsed_once import parsed_once

__all__ = ["parsed_once"]


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpaServer]:
    folder = tmp_path_factory.mktemp("opa")
    with OpaServer(build_bundle(folder), folder) as running:
        yield running


@pytest.fixture(scope="package")
def early(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpaServer]:
    """A server whose operator holds itself to every rule before its date."""
    folder = tmp_path_factory.mktemp("early")
    tree = copy_policies(folder)
    enforce_all(tree)
    with OpaServer(build_bundle(folder, tree=tree), folder) as running:
        yield running
