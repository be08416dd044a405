"""Lets OPA parse each Rego file once for a process: a test changes one of forty files, if any.

The commands, which run in processes of their own, have every file parsed as a user's do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.policy import checks

_PARSE = checks._parsed
_TEXTS: dict[tuple[Path, bytes], str] = {}


@pytest.fixture(autouse=True)
def parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_parsed", _parsed)


def _parsed(program: Path, path: Path) -> Any:
    at = program, path.read_bytes()
    if at not in _TEXTS:
        _TEXTS[at] = json.dumps(_PARSE(program, path))
    return json.loads(_TEXTS[at])
