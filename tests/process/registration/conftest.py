"""One stage for the tests of a file; one of its own for a test that damages it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.providers import shut_operations
from tests.process.registration.stage import Stage, staged


@pytest.fixture(scope="module")
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """The stage of a file, for the provider that the file names as ``PROVIDER``."""
    with pytest.MonkeyPatch.context() as present:
        folder = tmp_path_factory.mktemp("stage")
        with staged(folder, present, getattr(request.module, "PROVIDER", "openai")) as running:
            yield running


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Stage:
    """The file's stage as if it were new; its own for a test marked ``alone``."""
    if request.node.get_closest_marker("alone") is not None:
        own: Stage = request.getfixturevalue("own_stage")
        return own
    running: Stage = request.getfixturevalue("shared")
    return running.for_the_next_test()


@pytest.fixture
def own_stage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    with staged(tmp_path, monkeypatch, getattr(request.module, "PROVIDER", "openai")) as running:
        yield running


@pytest.fixture(scope="module")
def open_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One stage with every operation open that can be: those that make objects."""
    opened = sorted(shut_operations() - {"realtime.connect"})
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("open")
        with staged(folder, patch, open_operations=opened) as running:
            yield running
