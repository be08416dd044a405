"""Answers of OPA, well formed but for the changes that are given."""

from __future__ import annotations

import json
from typing import Any

from sidecar.core import verdict as verdict_module
from sidecar.core.verdict import Verdict
from tests.support.simulator.constants import MODEL


def answer(**changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "allow": True,
        "nonce": "n-1",
        "revision": "r-1",
        "violations": [],
        "warnings": [],
        "jurisdictions": {"eu": {"allow": True, "violations": []}},
        "lease_seconds": 30,
    }
    return {k: v for k, v in {**value, **changes}.items() if v is not None}


def body(**changes: Any) -> bytes:
    return json.dumps({"result": answer(**changes)}).encode()


def read(data: bytes) -> Verdict:
    return verdict_module.read(data, nonce="n-1", revision="r-1", jurisdictions=("eu",))


VIOLATION = {
    "code": "eu.art10",
    "jurisdiction": "eu",
    "message": "no corpus",
    "citation": "c",
    "remedy": "r",
    "subject": MODEL,
    "term": "adaptations[].corpora",
    "effective_on": "2026-01-01",
    "state": "enforced",
    "authority": "",
}
