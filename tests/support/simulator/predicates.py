"""What is said about one adapted model: each statement's predicate, good until it is changed.

Plain values, as they are written in JSON; nothing is signed here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from tests.support.simulator.constants import (
    APPROVERS,
    BASE,
    DAY,
    MODEL,
    NOW,
    OPERATION,
)


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def stamp(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def window(days_before: float = 30, days_after: float = 30) -> dict[str, str]:
    return {
        "notBefore": stamp(NOW - days_before * DAY),
        "notAfter": stamp(NOW + days_after * DAY),
    }


def manifest_predicate(model: str = MODEL, base: str = BASE, **changes: Any) -> dict[str, Any]:
    predicate: dict[str, Any] = {
        "model": {"provider": "openai", "id": model, "base": base},
        "corpora": [
            {
                "role": role,
                "name": f"{role}.jsonl",
                "digest": {"sha256": sha(f"{role} of {model}")},
                "bytes": 1000,
                "records": 10,
            }
            for role in ("training", "validation")
        ],
        "run": {
            "id": f"ftjob-{sha(model)[:8]}",
            "method": "supervised",
            "hyperparameters": {"n_epochs": 3},
            "seed": 7,
            "started": stamp(NOW - 40 * DAY),
            "finished": stamp(NOW - 39 * DAY),
            "trainedTokens": 12000,
        },
        "evaluations": [
            {
                "name": "metrics.csv",
                "digest": {"sha256": sha(f"metrics of {model}")},
                "metrics": {"valid_loss": 1.1},
            }
        ],
        "envelope": {"suites": suites()},
        "environments": [
            {
                "id": "spiffe://acme.example/env/*",
                "jurisdictions": ["eu", "us"],
                "sector": "finance",
                "purpose": "customer-support",
                "operations": [OPERATION, "responses"],
            }
        ],
        "approvals": {"required": list(APPROVERS)},
        "declarations": {"gpai-modification": "minor"},
        "window": window(),
    }
    return {**predicate, **changes}


def suite(kind: str, jurisdiction: str = "eu", threshold: float = 0.9) -> dict[str, Any]:
    value: dict[str, Any] = {
        "kind": kind,
        "name": f"{kind}-suite",
        "digest": {"sha256": sha(f"suite {kind} {jurisdiction}")},
        "threshold": threshold,
    }
    return {**value, "jurisdiction": jurisdiction} if kind == "compliance" else value


def suites(**thresholds: float) -> list[dict[str, Any]]:
    """The three suites of the envelope, with changed thresholds by kind."""
    kinds = ("adversarial", "regression", "compliance")
    return [suite(kind, threshold=thresholds.get(kind, 0.9)) for kind in kinds]


def result_predicate(suites: Iterable[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    predicate: dict[str, Any] = {
        "result": "PASSED",
        "configuration": [
            {
                "name": entry["name"],
                "digest": entry["digest"],
                "annotations": {
                    "kind": entry["kind"],
                    "threshold": entry["threshold"],
                    "score": 0.95,
                    **(
                        {"jurisdiction": entry["jurisdiction"]} if entry.get("jurisdiction") else {}
                    ),
                },
            }
            for entry in suites
        ],
        "window": window(10, 20),
    }
    return {**predicate, **changes}


def approval_predicate(role: str, **changes: Any) -> dict[str, Any]:
    predicate: dict[str, Any] = {
        "role": role,
        "jurisdictions": ["eu"],
        "environments": ["spiffe://acme.example/env/*"],
        "operations": [OPERATION, "responses"],
        "window": window(10, 20),
        "conditions": ["human review of refusals"],
        "declarations": {"model-risk-sign-off": "mr-2026-88"} if role == "customer" else {},
    }
    return {**predicate, **changes}


def environment_predicate(**changes: Any) -> dict[str, Any]:
    predicate: dict[str, Any] = {
        "jurisdictions": ["eu"],
        "sector": "finance",
        "purpose": "customer-support",
        "riskClass": "limited",
        "owner": "acme-model-risk",
        "window": window(20, 25),
        "baseModels": [f"openai/{BASE}"],
        "declarations": {"ict-register-reference": "register-2026-017"},
    }
    return {**predicate, **changes}


def specification_predicate(**changes: Any) -> dict[str, Any]:
    """In force from before the run of ``manifest_predicate`` on; for the EU, as its suites are."""
    declared = manifest_predicate()
    predicate: dict[str, Any] = {
        "models": ["openai/**"],
        "environments": [{**declared["environments"][0], "jurisdictions": ["eu"]}],
        "envelope": declared["envelope"],
        "window": window(60, 10),
    }
    return {**predicate, **changes}


def statement(predicate_type: str, subject: str, digest: str, predicate: dict[str, Any]) -> bytes:
    return json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": subject, "digest": {"sha256": digest}}],
            "predicateType": predicate_type,
            "predicate": predicate,
        }
    ).encode()
