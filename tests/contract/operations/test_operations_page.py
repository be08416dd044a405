"""The page of operations says what the providers' tables hold, and nothing else."""

from __future__ import annotations

import re

from sidecar.providers import PROVIDERS
from tests.contract.operations.generate_page import PAGE, page


def test_the_committed_page_is_what_the_code_generates() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make reference`"


def test_every_row_of_every_table_is_listed_once() -> None:
    text = PAGE.read_text(encoding="utf-8")
    told = {}
    for name, provider in PROVIDERS.items():
        heading = f"## {provider.title} (`api: {name}`)\n"
        assert heading in text, "run `make reference`"
        section = text.split(heading, 1)[1].split("\n## ", 1)[0]
        told[name] = re.findall(r"^\| `([\w.]+)` \| ([A-Z]+) `([^`]+)`", section, flags=re.M)
    assert told == {
        api.name: [(row.name, row.method, row.route) for row in api.operations]
        for api in PROVIDERS.values()
    }
