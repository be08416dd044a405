"""A real gate in its admitted state, for what the control planes make of the objects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.site.site import Site
from tests.support.site.spiffe import TrustDomain
from tests.support.site.stand import standing


@pytest.fixture(scope="session")
def domain(tmp_path_factory: pytest.TempPathFactory) -> TrustDomain:
    """The mesh's trust domain, with the roots that the gate knows."""
    return TrustDomain("acme.example", tmp_path_factory.mktemp("spiffe"))


@pytest.fixture(scope="session")
def site(domain: TrustDomain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A gate that runs, and takes JWT-SVIDs and the certificates of `domain`."""
    folder = tmp_path_factory.mktemp("mesh")
    with standing(folder / "demo") as stand, Site(stand, folder / "site") as made:
        made.publish_roots(domain)
        yield made.start()
