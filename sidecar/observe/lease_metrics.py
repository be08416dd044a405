"""Collects the numbers of leases at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

DECISION, CREDENTIAL = "decision", "credential"


class End(StrEnum):
    """Why a lease ended."""

    EXPIRED = "expired"
    TRUST = "trust"
    POLICIES = "policies"
    CLOCK = "clock"
    EVICTED = "evicted"


@dataclass(slots=True)
class LeaseCounts:
    """Numbers of one kind of leases: ``held`` now, the others since the start."""

    held: int = 0
    hits: int = 0
    misses: int = 0
    ends: dict[End, int] = field(default_factory=lambda: dict.fromkeys(End, 0))


class LeaseCollector(Collector):
    """Collects the numbers of each kind; ``read`` is set once there are leases."""

    def __init__(self) -> None:
        self.read: Callable[[], Mapping[str, LeaseCounts]] = lambda: {
            DECISION: LeaseCounts(),
            CREDENTIAL: LeaseCounts(),
        }

    def describe(self) -> Iterator[Metric]:
        """Yield nothing, so that registering reads nothing."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families of one reading."""
        reading = self.read()
        held = GaugeMetricFamily(
            "admissibility_leases",
            "Leases that are held: `decision` and `credential`. One that ended is held until it is "
            "looked up or evicted.",
            labels=("kind",),
        )
        lookups = CounterMetricFamily(
            "admissibility_lease_lookups",
            "Leases looked up: a `hit` was reused, for a `miss` the call was assessed and the "
            "policies asked, or the credential verified.",
            labels=("kind", "result"),
        )
        ends = CounterMetricFamily(
            "admissibility_lease_ends",
            "Leases that ended: `expired`; something that they read changed (`trust`); the "
            "`policies` changed; the `clock` jumped; `evicted`, because as many as `max_leases` or "
            "`max_credentials` are held.",
            labels=("kind", "cause"),
        )
        for kind, counts in reading.items():
            held.add_metric([kind], counts.held)
            lookups.add_metric([kind, "hit"], counts.hits)
            lookups.add_metric([kind, "miss"], counts.misses)
            for cause, number in counts.ends.items():
                ends.add_metric([kind, cause.value], number)
        yield from (held, lookups, ends)
