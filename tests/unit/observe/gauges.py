"""Metrics of a gate with a known trust state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sidecar.observe.metrics import Metrics
from sidecar.observe.trust_metrics import AuthorityReading, TrustReading
from tests.support.simulator.world import NOW

_SOON, _PAST = NOW + timedelta(hours=1), NOW - timedelta(seconds=9)
READING = TrustReading(
    NOW,
    7,
    2,
    3,
    1,
    (
        AuthorityReading(
            "customer", NOW - timedelta(seconds=5), NOW + timedelta(hours=1), False, False, 41, 3
        ),
        AuthorityReading(
            "regulator", NOW - timedelta(hours=2), NOW - timedelta(seconds=9), True, True, 7, 0
        ),
        AuthorityReading("provider", None, None, True, True, None, 0),
    ),
)


def metrics(**changes: Any) -> Metrics:
    values: dict[str, Any] = {
        "operations": ["chat.completions"],
        "jurisdictions": ["eu"],
        "trust": lambda: READING,
    }
    return Metrics(**{**values, **changes})
