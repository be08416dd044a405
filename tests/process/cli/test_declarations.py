"""What a signer declares for policies travels from the command line into the evidence."""

from __future__ import annotations

import pytest

from sidecar.cli import common
from sidecar.cli.common import CliError


def test_each_declaration_is_a_name_and_a_text() -> None:
    assert common.pairs(None, "--declaration") == {}
    assert common.pairs(["a=b", "url=x=y"], "--declaration") == {"a": "b", "url": "x=y"}


@pytest.mark.parametrize("texts", [["a"], ["=b"], ["a="], [""]])
def test_half_a_declaration_is_refused(texts: list[str]) -> None:
    with pytest.raises(CliError) as caught:
        common.pairs(texts, "--declaration")
    assert str(caught.value) == f"--declaration: {texts[0]!r} is not NAME=TEXT"


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(CliError) as caught:
        common.pairs(["a=b", "a=c"], "--declaration")
    assert str(caught.value) == "--declaration: a is given twice"
