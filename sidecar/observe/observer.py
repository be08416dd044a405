"""What the gate's server reports to: metrics and decision log, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.observe.decision_log import DecisionLog
from sidecar.observe.metrics import Metrics
from sidecar.observe.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Observer:
    """Keeps account of every decision once, in the metrics and in the log."""

    metrics: Metrics
    decisions: DecisionLog

    def ready(self) -> bool:
        """Whether decisions can be recorded now."""
        return self.decisions.ready()

    def begin(self) -> None:
        """A request came in."""
        self.metrics.in_flight.inc()

    def end(self, outcome: Outcome | None) -> None:
        """A request was answered; ``outcome`` is null where Envoy gave up before."""
        self.metrics.in_flight.dec()
        if outcome is not None:
            self.metrics.count(outcome)
            self.decisions.put(outcome)
