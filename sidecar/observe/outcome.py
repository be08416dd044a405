"""One decision with the circumstances in which it was made: what metrics and log are written from.

The gate fills it in and hands it over; nothing here can change a decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.core.decide import Decision
from sidecar.core.facts import Facts

UNKNOWN = "unknown"
STAGES = ("parse", "credential", "assess", "policy")
"""Stages of the request path, in order; each is timed by itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision and how it came about.

    Attributes:
        decision: The decision that the reply told.
        provider: Of the route; empty where the request could not be read.
        method: HTTP method.
        path: Raw path without its query.
        request_id: Envoy's.
        stages: Seconds for each stage that was reached.
        seconds: From receipt to reply.
        facts: What the policies were asked about; null where they were not asked.
    """

    decision: Decision
    provider: str
    method: str
    path: str
    request_id: str
    stages: Mapping[str, float]
    seconds: float
    facts: Facts | None = None
