"""Writes what the signed statuses of a fleet prove, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from sidecar.fleet.reading import GateReading

PREFIX = "admissibility_fleet"


class FleetMetrics:
    """The metrics of one reading of a fleet; ``gate`` is a gate's name in ``fleet.yaml``.

    Args:
        at: When the fleet was read.
        readings: Of each gate.
    """

    def __init__(self, at: datetime, readings: Iterable[GateReading] = ()) -> None:
        self.registry = CollectorRegistry()
        self._read = Gauge(
            f"{PREFIX}_read_timestamp_seconds",
            "When the fleet was read.",
            registry=self.registry,
        )
        self._current = Gauge(
            f"{PREFIX}_current",
            "1 where a current status was read, signed with the pinned key; else 0.",
            ["gate"],
            registry=self.registry,
        )
        self._ready = Gauge(
            f"{PREFIX}_ready",
            "1 where such a status states that requests are decided; else 0.",
            ["gate"],
            registry=self.registry,
        )
        self._version = Gauge(
            f"{PREFIX}_trust_version",
            "Version of an authority that is in force at a gate, by its signed status.",
            ["gate", "authority"],
            registry=self.registry,
        )
        self._read.set(at.timestamp())
        for each in readings:
            name, statement = each.gate.name, each.statement
            self._current.labels(name).set(each.answers)
            self._ready.labels(name).set(each.answers and statement is not None and statement.ready)
            for authority in () if statement is None else statement.authorities:
                self._version.labels(name, authority.name).set(authority.version)

    def render(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self.registry)
