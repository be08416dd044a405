"""Records how far one decision came and how long each stage took.

It is the only mutable object on the request path and belongs to one request. The denial, the log
line and the timings are made from it when a stage refuses, times out or fails.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

from sidecar.core.decide import Decision, Progress
from sidecar.core.facts import Facts
from sidecar.extract.http_request import HttpRequest
from sidecar.observe.outcome import Outcome


@dataclass(slots=True)
class DecisionContext:
    """The state of one decision; ``progress.at`` is its only reference time."""

    progress: Progress
    request: HttpRequest | None = None
    facts: Facts | None = None
    key_unknown_in: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    _began: float = field(default_factory=time.perf_counter)
    _marked: float = field(default_factory=time.perf_counter)

    def reached(self, stage: str, **found: Any) -> None:  # noqa: ANN401 - fields of Progress
        """Record that ``stage`` ended, and the fields of ``Progress`` it found."""
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + now - self._marked
        self._marked = now
        if found:
            self.note(**found)

    def note(self, **found: Any) -> None:  # noqa: ANN401 - fields of Progress
        """Set fields of ``Progress``."""
        self.progress = replace(self.progress, **found)

    def outcome(self, decision: Decision) -> Outcome:
        """Return the outcome of the finished decision, for the log and the metrics."""
        request = self.request
        return Outcome(
            decision=decision,
            provider="" if request is None else request.provider,
            method="" if request is None else request.method,
            path="" if request is None else request.path.partition("?")[0],
            request_id="" if request is None else request.request_id,
            stages=dict(self.stages),
            seconds=time.perf_counter() - self._began,
            facts=self.facts,
            key_unknown_in=self.key_unknown_in,
        )
