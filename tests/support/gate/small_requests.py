"""Requests to a gate that reads little, so that a body beyond its cap is a small one."""

from __future__ import annotations

from typing import Any

from sidecar.core.reasons import Reason
from tests.support.gate.asking import Outcome, ask
from tests.support.gate.requests import as_check_request

MAX_BYTES = 4096


def outcome(message: Any) -> Outcome:
    return ask(message, max_bytes=MAX_BYTES)


def chat(body: bytes, **changes: Any) -> Outcome:
    return outcome(as_check_request(body=body, **changes))


def malformed(why: str) -> Outcome:
    return Reason.MALFORMED_REQUEST, why
