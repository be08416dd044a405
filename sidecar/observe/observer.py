"""What the gate's server reports to: metrics, decision log and log of facts, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.observe.decision_log import DecisionLog
from sidecar.observe.facts_log import FactsLog
from sidecar.observe.metrics import Metrics
from sidecar.observe.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Observer:
    """Keeps account of every decision once, in the metrics and in the logs.

    ``facts`` is null where no log of facts was asked for.
    """

    metrics: Metrics
    decisions: DecisionLog
    facts: FactsLog | None = None

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
            if self.facts is not None and outcome.facts is not None:
                self.facts.put(outcome)
