"""Sums the metrics of several processes of one gate, as one process would have counted them.

Counters and histograms are added up, those of processes that have ended included, so that none
goes back. A gauge has a rule: the sum over the processes that run, the least, or the value of the
process that knows it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

_ADDED_TYPES = frozenset({"counter", "histogram"})
_ADDED = frozenset(
    {
        "admissibility_in_flight",
        "admissibility_leases",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
    }
)
_LEAST = frozenset({"admissibility_clock_sound", "admissibility_decision_log_writable"})
_OF_WORKERS = frozenset({"admissibility_decision_log_writable"})
"""Metrics that only workers have."""
_OF_POLICIES = frozenset({"admissibility_policy_revision_info", "admissibility_policy_engine_up"})
"""Metrics that only the process of the policy engine has."""

Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Family:
    """The samples of one metric in one process, or in several together.

    Attributes:
        name: Of the family.
        documentation: Its help text.
        kind: ``counter``, ``gauge`` or ``histogram``.
        samples: (name, labels) → value.
    """

    name: str
    documentation: str
    kind: str
    samples: Mapping[Key, float]


Families = Mapping[str, Family]


def families(registry: CollectorRegistry) -> Families:
    """Return what a registry has counted."""
    return {
        metric.name: Family(
            metric.name,
            metric.documentation,
            metric.type,
            {
                (sample.name, tuple(sorted(sample.labels.items()))): sample.value
                for sample in metric.samples
            },
        )
        for metric in registry.collect()
    }


def write(found: Families) -> bytes:
    """Write families for another process."""
    return json.dumps(
        [
            [
                each.name,
                each.documentation,
                each.kind,
                [[*key, value] for key, value in each.samples.items()],
            ]
            for each in found.values()
        ],
        separators=(",", ":"),
    ).encode()


def read(data: bytes) -> Families:
    """Read what ``write`` wrote; nothing of nothing."""
    found: dict[str, Family] = {}
    for name, documentation, kind, samples in json.loads(data or b"[]"):
        values = {
            (sample, tuple((label, text) for label, text in labels)): float(value)
            for sample, labels, value in samples
        }
        found[name] = Family(name, documentation, kind, values)
    return found


def counted(found: Iterable[Families]) -> Families:
    """Return the counters and histograms of several processes, added up."""
    merged: dict[str, Family] = {}
    for each in found:
        for name, family in each.items():
            if family.kind in _ADDED_TYPES:
                merged[name] = _added(merged.get(name), family)
    return merged


def summed(
    writer: Families, policies: Families, workers: Iterable[Families], ended: Families
) -> Families:
    """Return the metrics of a gate.

    Args:
        writer: Of the process that follows the authorities; it knows every gauge that has no rule.
        policies: Of the process that runs the policy engine.
        workers: Of the processes that answer Envoy, those that run.
        ended: What ``counted`` returned of processes that have ended.
    """
    running = tuple(workers)
    found = {**writer, **counted((writer, policies, *running, ended))}
    for name, family in writer.items():
        if name in _OF_POLICIES:
            found[name] = policies.get(name, family)
        elif name in _LEAST:
            knowing = running if name in _OF_WORKERS else (writer, *running)
            found[name] = _least(family, (each[name] for each in knowing if name in each))
        elif name in _ADDED:
            for each in (policies, *running):
                if name in each:
                    found[name] = _added(found[name], each[name])
    return found


def exposition(found: Families) -> bytes:
    """Return the exposition text."""
    registry = CollectorRegistry()
    registry.register(_Collected(found))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, found: Families) -> None:
        self._found = found

    def describe(self) -> Iterator[Metric]:
        """Yield nothing, so that registering needs no names."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield each family."""
        for family in self._found.values():
            metric = Metric(family.name, family.documentation, family.kind)
            for (name, labels), value in family.samples.items():
                metric.add_sample(name, dict(labels), value)
            yield metric


def _added(one: Family | None, other: Family) -> Family:
    if one is None:
        return other
    samples = dict(one.samples)
    for key, value in other.samples.items():
        samples[key] = samples.get(key, 0.0) + value
    return Family(one.name, one.documentation, one.kind, samples)


def _least(family: Family, found: Iterable[Family]) -> Family:
    samples: dict[Key, float] = {}
    for each in found:
        for key, value in each.samples.items():
            samples[key] = min(value, samples.get(key, value))
    return Family(family.name, family.documentation, family.kind, samples)
