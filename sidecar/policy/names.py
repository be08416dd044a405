"""Reads the names that policies know, without OPA: jurisdictions, sectors, risk classes, rules.

Rules are found by the ``code`` of their METADATA comments. That is enough to suggest a name to a
person; what OPA evaluates is what OPA parses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.opa import tree
from sidecar.opa.errors import PolicyError
from sidecar.opa.tree import JURISDICTIONS

_CODE = re.compile(rb"^#\s+code:\s+(\S+)\s*$", re.MULTILINE)
_HIGH = "high"
"""The class that rules name themselves; those below it are data."""


@dataclass(frozen=True, slots=True)
class PolicyNames:
    """Names in a tree of policies.

    Attributes:
        sectors: Jurisdiction → sectors that it knows.
        rules: Code of a rule → jurisdictions in which it is evaluated; all, for a rule about the
            call as a whole.
        risk_classes: Risk classes that some jurisdiction knows.
    """

    sectors: Mapping[str, frozenset[str]]
    rules: Mapping[str, frozenset[str]]
    risk_classes: frozenset[str]


def read(policies: Path) -> PolicyNames:
    """Read the names in a folder of policies.

    Raises:
        PolicyError: It has no policies, or a data file is no JSON object.
    """
    files = tree.read(policies).files
    params = {name.split("/")[1]: _data(name, data) for name, data in _params(files)}
    sectors = {
        name: value["sectors"]
        for name, value in params.items()
        if isinstance(value.get("sectors"), dict)
    }
    rules: dict[str, frozenset[str]] = {}
    for name, data in files.items():
        parts = name.split("/")
        where = parts[1] if parts[0] == JURISDICTIONS and len(parts) > 2 else None
        places = frozenset(
            place for place, known in sectors.items() if where in {None, place, *known.values()}
        )
        for code in _CODE.findall(data):
            rules[code.decode("utf-8", errors="replace")] = places
    classes = {
        each
        for value in params.values()
        for each in value.get("risk_classes_below_high", ())
        if isinstance(each, str)
    }
    return PolicyNames(
        {name: frozenset(known) for name, known in sectors.items()},
        rules,
        frozenset({*classes, _HIGH}) if classes else frozenset(),
    )


def _params(files: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    return [
        (name, data)
        for name, data in files.items()
        if name.startswith("params/") and name.endswith("/data.json") and name.count("/") == 2
    ]


def _data(name: str, data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise PolicyError(f"{name}: is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise PolicyError(f"{name}: is not a JSON object")
    return value
