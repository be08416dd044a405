"""Records decisions in the metrics, the decision log and the log of facts."""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.observe.decision_log import DecisionLog
from sidecar.observe.facts_log import FactsLog
from sidecar.observe.metrics import Metrics
from sidecar.observe.outcome import LeasedOutcome, Outcome


@dataclass(frozen=True, slots=True)
class Observer:
    """Records every decision exactly once, in the metrics and in the logs.

    ``facts`` is ``None`` if no log of facts is configured.
    """

    metrics: Metrics
    decisions: DecisionLog
    facts: FactsLog | None = None

    def ready(self) -> bool:
        """Return whether decisions can be recorded now."""
        return self.decisions.ready()

    def begin(self) -> None:
        """Count a request in flight."""
        self.metrics.in_flight.inc()

    async def record(self, outcome: Outcome | LeasedOutcome) -> bool:
        """Write the line of an allow before it is answered; return whether it was written."""
        return await self.decisions.record(outcome)

    def end(self, outcome: Outcome | LeasedOutcome | None) -> None:
        """Record a request's end; ``outcome`` is ``None`` if Envoy cancelled it."""
        self.metrics.in_flight.dec()
        if isinstance(outcome, LeasedOutcome):
            self.metrics.count_leased(outcome)
        elif outcome is not None:
            self.metrics.count(outcome)
            if not outcome.decision.allowed:
                self.decisions.put(outcome)
            if self.facts is not None and outcome.asked:
                self.facts.put(outcome)
