"""Collects how repeated work goes, for Prometheus: its age, and whether it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class Repeated(Protocol):
    """Work that is done again and again."""

    @property
    def problem(self) -> str:
        """Return why it failed last; empty where it did not."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the values of the collector's labels."""
        ...

    def age(self) -> float | None:
        """Return the seconds since it succeeded; ``None`` if it never has."""
        ...


class RepeatedCollector(Collector):
    """Two gauges for each repeated work, asked for at each scrape.

    Args:
        prefix: The names are this with ``_age_seconds`` and ``_failing``.
        labels: Their labels.
        age: Documentation of the first.
        failing: Documentation of the second.
        works: Returns the works.
    """

    def __init__(
        self,
        prefix: str,
        labels: tuple[str, ...],
        age: str,
        failing: str,
        works: Callable[[], Iterable[Repeated]],
    ) -> None:
        self._prefix = prefix
        self._labels = labels
        self._documentation = (age, failing)
        self._works = works

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield both gauges."""
        about_age, about_failing = self._documentation
        age = GaugeMetricFamily(f"{self._prefix}_age_seconds", about_age, labels=self._labels)
        failing = GaugeMetricFamily(f"{self._prefix}_failing", about_failing, labels=self._labels)
        for work in self._works():
            seconds = work.age()
            age.add_metric(work.labels, float("inf") if seconds is None else seconds)
            failing.add_metric(work.labels, float(bool(work.problem)))
        yield from (age, failing)
