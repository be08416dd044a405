"""Writes a decision as one line of JSON, for the decision log.

Every line is ASCII: values from clients are escaped by JSON and truncated, so that no value can
start a line of its own (CVE-2024-45808).
"""

from __future__ import annotations

import json
import secrets
from datetime import datetime
from typing import Any

from sidecar.core.assessment import Assessment
from sidecar.core.decide import Decision
from sidecar.core.window import rfc3339
from sidecar.observe.outcome import LeasedOutcome, Outcome

MAX_TEXT_CHARS = 512
MAX_ITEMS = 64


def record(outcome: Outcome) -> dict[str, Any]:
    """Return the fields of one decision's line; every key is always present."""
    decision = outcome.decision
    call, caller = decision.call, decision.credential
    return {
        "id": decision.id,
        "time": rfc3339(decision.at),
        "outcome": "allow" if decision.allowed else "deny",
        "reason": decision.reason.value,
        "detail": _text(decision.detail),
        "step": None if decision.failed is None else decision.failed.step,
        "missing": [] if decision.failed is None else _texts(decision.failed.missing),
        "withdrawn": _withdrawn(decision),
        "provider": _text(outcome.provider),
        "operation": None if call is None else call.operation,
        "sandbox": call is not None and call.sandbox,
        "method": _text(outcome.method),
        "path": _text(outcome.path),
        "models": [] if call is None else _texts(call.named),
        "ignored": [] if call is None else _texts(call.ignored),
        "tuned": [] if call is None else _texts(call.tuned),
        "specification": None if call is None else _optional(call.specification),
        "environment": None if caller is None else _text(caller.spiffe_id),
        "credential": None if caller is None else caller.kind,
        **_relied_on(decision.assessment),
        "violations": sorted({v.code for v in decision.violations})[:MAX_ITEMS],
        "warnings": sorted({v.code for v in decision.warnings})[:MAX_ITEMS],
        "revision": decision.revision,
        "epoch": decision.epoch,
        "lease_until": None if decision.lease_until is None else rfc3339(decision.lease_until),
        "announced_end": _announced_end(decision),
        "request_id": _text(outcome.request_id),
        "duration_us": round(outcome.seconds * 1_000_000),
    }


_VARYING = ("id", "time", "method", "path", "epoch", "lease_until", "request_id", "duration_us")
"""Fields in which the lines of recurring decisions differ, in the order of the line."""

_escaped = json.encoder.encode_basestring_ascii


def line(outcome: Outcome | LeasedOutcome) -> bytes:
    """Return one line of the log, with its line feed."""
    if isinstance(outcome, LeasedOutcome):
        lease = outcome.leased.lease_until
        return _shared_line(outcome, outcome.shared.line, outcome.at, outcome.epoch, lease)
    shared, decision = outcome.shared, outcome.decision
    if shared is None:
        return json.dumps(record(outcome), separators=(",", ":")).encode("ascii") + b"\n"
    if not shared.line:
        shared.line = _line_parts(outcome)
    until = decision.lease_until
    return _shared_line(outcome, shared.line, decision.at, decision.epoch, until)


def _shared_line(
    outcome: Outcome | LeasedOutcome,
    parts: tuple[str, ...],
    at: datetime,
    epoch: int,
    until: datetime | None,
) -> bytes:
    """Return the line of a recurring decision: the same text, and what varies put in."""
    ends = "null" if until is None else f'"{rfc3339(until)}"'
    text = (
        f"{parts[0]}{_escaped(outcome.id)}{parts[1]}{_escaped(rfc3339(at))}{parts[2]}"
        f"{_escaped(_text(outcome.method))}{parts[3]}{_escaped(_text(outcome.path))}{parts[4]}"
        f"{epoch}{parts[5]}{ends}{parts[6]}{_escaped(_text(outcome.request_id))}{parts[7]}"
        f"{round(outcome.seconds * 1_000_000)}{parts[8]}\n"
    )
    return text.encode("ascii")


def _line_parts(outcome: Outcome) -> tuple[str, ...]:
    """Return a line's text around its varying fields."""
    fields, mark = record(outcome), secrets.token_hex(16)
    for number, name in enumerate(_VARYING):
        fields[name] = f"{mark}-{number}"
    parts = [json.dumps(fields, separators=(",", ":"))]
    for number in range(len(_VARYING)):
        parts[-1:] = parts[-1].split(f'"{mark}-{number}"')
    assert len(parts) == len(_VARYING) + 1
    return tuple(parts)


def _relied_on(assessment: Assessment | None) -> dict[str, Any]:
    if assessment is None:
        return {
            "jurisdictions": [],
            "deployments": [],
            "manifests": [],
            "constituents": [],
            "of_record": [],
        }
    environment = assessment.environment
    deployed = [(chain.model, chain.deployed) for chain in assessment.chains if chain.deployed]
    return {
        "jurisdictions": [] if environment is None else _texts(environment.predicate.jurisdictions),
        "deployments": [
            {"name": _text(name), "model": _text(entry.binding.predicate.model)}
            for name, entry in deployed[:MAX_ITEMS]
        ],
        "manifests": _texts(assessment.manifests),
        "constituents": _texts(assessment.constituents),
        "of_record": _texts(assessment.of_record),
    }


def _withdrawn(decision: Decision) -> dict[str, str] | None:
    found = None if decision.failed is None else decision.failed.withdrawn
    if found is None:
        return None
    return {
        "kind": found.node.kind.value,
        "subject": _text(found.node.subject),
        "authority": found.authority,
        "reason": _text(found.reason),
    }


def _announced_end(decision: Decision) -> dict[str, str] | None:
    """Return what is announced to end an admitted call within 90 days."""
    found = decision.assessment
    ends = found.announced_end(decision.at) if found is not None and decision.allowed else None
    if ends is None:
        return None
    return {"at": rfc3339(ends.at), "what": ends.what, "whose": _text(ends.whose)}


def _texts(values: tuple[str, ...]) -> list[str]:
    return [_text(value) for value in values[:MAX_ITEMS]]


def _optional(value: str | None) -> str | None:
    return None if value is None else _text(value)


def _text(value: str) -> str:
    return value if len(value) <= MAX_TEXT_CHARS else value[:MAX_TEXT_CHARS] + "…"
