"""The exception of each SDK shows code, message, remedy and decision id; the page says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process.envoy.exceptions import (
    NODE,
    SDKS,
    Sdk,
    committed,
    complaints,
    raised,
    raised_in_node,
    row,
)


@pytest.mark.parametrize("sdk", SDKS, ids=lambda sdk: str(sdk.title))
def test_an_sdk_raises_what_the_page_says(
    sdk: Sdk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = raised(sdk, tmp_path, monkeypatch)
    assert complaints(sdk, found) == []
    assert row(sdk, found) == committed(sdk)


def test_the_node_sdk_raises_what_the_page_says(tmp_path: Path) -> None:
    found = raised_in_node(tmp_path)
    assert complaints(NODE, found) == []
    assert row(NODE, found) == committed(NODE)
