"""One stage for all: real authorities, gate, OPA and Envoy in the admitted state."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.policies.opa import copy_policies
from tests.support.site.site import Site
from tests.support.site.stand import Stand, standing
from tests.support.site.talk import Talk


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


@pytest.fixture
def owned(stand: Stand, tmp_path: Path) -> Iterator[Site]:
    """A machine whose files only their owner may change, however this checkout was made."""
    before = os.umask(0o022)
    try:
        with Site(stand, tmp_path / "site") as made:
            policies = copy_policies(made.folder)
            for path in (policies, *policies.rglob("*")):
                path.chmod(path.stat().st_mode & ~0o022)
            made.settings["policies"] = str(policies)
            yield made
    finally:
        os.umask(before)


@pytest.fixture
def whole(owned: Site) -> Site:
    """Gate and Envoy, running and in order."""
    return owned.start().front()
