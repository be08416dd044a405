"""What the processes of a gate state together: status and metrics."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry

from sidecar.observe import summed_metrics
from sidecar.observe.summed_metrics import Families, Family
from sidecar.observe.unknown_keys import KeyMisses
from sidecar.service.scoreboard import Role, Scoreboard

ROLE = "role"
PROCESSES = {
    "admissibility_processes": (
        "Processes of a gate with several workers that run: `worker`, `writer`, `policies`."
    ),
    "admissibility_processes_ready": "Of these, those that do their work.",
}
"""The gauges of a gate with several processes, which a gate of one does not have."""

_LOG = "admissibility_decision_log_writable"
_UNKNOWN_KEYS = "admissibility_unknown_keys"


@dataclass(frozen=True, slots=True)
class Processes:
    """Reads the scoreboard for ``/status`` and ``/metrics``."""

    board: Scoreboard

    def to_json(self) -> list[dict[str, Any]]:
        """Return each process that runs; ``number`` counts those of one role."""
        return [
            {
                "role": each.role.value,
                "number": each.number,
                "pid": each.pid,
                "ready": each.working,
                "silent_seconds": round(each.silent, 1),
                "epoch": each.epoch if each.role is Role.WORKER else None,
                "in_flight": each.in_flight if each.role is Role.WORKER else None,
            }
            for each in sorted(self.board.running(), key=lambda each: (each.role, each.number))
        ]

    def exposition(self, registry: CollectorRegistry) -> Callable[[], bytes]:
        """Return what renders the metrics of all processes; ``registry`` is the writer's own."""
        return lambda: summed_metrics.exposition(
            {**self._summed(summed_metrics.families(registry)), **self._processes()}
        )

    def misses(self, trust_domain: str) -> KeyMisses:
        """Return how often a key of a trust domain was unknown to any worker, and when last."""
        found = summed_metrics.counted((*self._workers(), self._retired()))
        samples = found[_UNKNOWN_KEYS].samples if _UNKNOWN_KEYS in found else {}
        count = sum(
            value
            for (_, labels), value in samples.items()
            if dict(labels).get("trust_domain") == trust_domain
        )
        last = [
            datetime.fromisoformat(at)
            for each in self.board.running(Role.WORKER)
            if (at := json.loads(self._status(each.slot)).get(trust_domain)) is not None
        ]
        return KeyMisses(int(count), max(last, default=None))

    def log_writable(self) -> bool:
        """Return whether every worker can write the decision log."""
        samples = (each[_LOG].samples for each in self._workers() if _LOG in each)
        return all(value for each in samples for value in each.values())

    def _status(self, number: int) -> bytes:
        return self.board.slots[number].status.read() or b"{}"

    def _summed(self, writer: Families) -> Families:
        policies = self.board.policies
        found = {} if policies is None else summed_metrics.read(policies.metrics.read())
        return summed_metrics.summed(writer, found, self._workers(), self._retired())

    def _workers(self) -> tuple[Families, ...]:
        return tuple(
            summed_metrics.read(self.board.slots[each.slot].metrics.read())
            for each in self.board.running(Role.WORKER)
        )

    def _retired(self) -> Families:
        return summed_metrics.read(self.board.retired.metrics.read())

    def _processes(self) -> Families:
        """Return how many processes run and how many of them are ready, by role."""
        running, ready = dict.fromkeys(Role, 0), dict.fromkeys(Role, 0)
        for each in self.board.running():
            running[each.role] += 1
            ready[each.role] += each.working
        return {
            name: Family(
                name,
                text,
                "gauge",
                {(name, ((ROLE, role.value),)): float(count) for role, count in counts.items()},
            )
            for (name, text), counts in zip(PROCESSES.items(), (running, ready), strict=True)
        }
