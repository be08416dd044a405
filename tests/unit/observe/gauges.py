"""Metrics of a gate with a known trust state."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sidecar.core.window import Window
from sidecar.observe.metrics import Metrics
from sidecar.observe.trust_metrics import AuthorityReading, TrustDomainReading, TrustReading
from sidecar.observe.unknown_keys import KeyMisses
from tests.support.simulator.constants import NOW

_SOON, _PAST = NOW + timedelta(hours=1), NOW - timedelta(seconds=9)
READING = TrustReading(
    NOW,
    7,
    2,
    3,
    1,
    (
        AuthorityReading(
            "customer",
            5.0,
            NOW + timedelta(hours=1),
            False,
            False,
            41,
            3,
            (NOW + timedelta(days=1), NOW + timedelta(days=2)),
        ),
        AuthorityReading("regulator", 7200.0, NOW - timedelta(seconds=9), True, True, 7, 0),
        AuthorityReading("provider", 50.0, None, True, True, None, 0),
    ),
    (
        TrustDomainReading(
            "acme.example", "customer", 2, 1, Window(_PAST, _SOON), KeyMisses(3, NOW)
        ),
        TrustDomainReading("new.example", "customer", 0, 0, None, KeyMisses()),
    ),
)


def metrics(**changes: Any) -> Metrics:
    values: dict[str, Any] = {
        "operations": ["chat.completions"],
        "jurisdictions": ["eu"],
        "trust": lambda: READING,
    }
    return Metrics(**{**values, **changes})
