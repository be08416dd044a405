"""The binder's metrics, for Prometheus."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sidecar.binder.job_records import JobRecord
from sidecar.binder.queue import QueuedJob
from sidecar.binder.rounds import RoundStatus

PREFIX = "admissibility_binder"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class BinderMetrics:
    """Counters of attempts and webhooks, and the state of jobs and of rounds."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._attempts = Counter(
            f"{PREFIX}_attempts",
            "Attempts to bind a job, by outcome.",
            ["provider", "outcome"],
            registry=self._registry,
        )
        self._webhooks = Counter(
            f"{PREFIX}_webhooks",
            "Webhooks that arrived, by outcome.",
            ["provider", "outcome"],
            registry=self._registry,
        )
        self._progress: dict[QueuedJob, str] = {}
        self._registry.register(_Jobs(self._progress))

    def follow(self, statuses: Callable[[], Sequence[RoundStatus]]) -> None:
        """Show the state of rounds, asked for at each scrape."""
        self._registry.register(_Rounds(statuses))

    def attempted(self, provider: str, outcome: str) -> None:
        """Count an attempt."""
        self._attempts.labels(provider, outcome).inc()

    def webhook(self, provider: str, outcome: str) -> None:
        """Count a webhook."""
        self._webhooks.labels(provider, outcome).inc()

    def known(self, record: JobRecord) -> None:
        """Count a job by how far it is."""
        self._progress[QueuedJob(record.provider, record.job)] = record.progress.value

    def render(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self._registry)


class _Jobs(Collector):
    def __init__(self, progress: dict[QueuedJob, str]) -> None:
        self._progress = progress

    def collect(self) -> Iterator[GaugeMetricFamily]:
        jobs = GaugeMetricFamily(
            f"{PREFIX}_jobs", "Jobs on record, by progress.", labels=["provider", "progress"]
        )
        counted = Tally((job.provider, text) for job, text in list(self._progress.items()))
        for (provider, progress), number in sorted(counted.items()):
            jobs.add_metric([provider, progress], number)
        yield jobs


class _Rounds(Collector):
    def __init__(self, statuses: Callable[[], Sequence[RoundStatus]]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = ["provider", "what"]
        age = GaugeMetricFamily(
            f"{PREFIX}_read_age_seconds",
            "Seconds since jobs or deployments were read whole; +Inf where they never were.",
            labels=labels,
        )
        failing = GaugeMetricFamily(
            f"{PREFIX}_read_failing", "1 where the last reading failed, else 0.", labels=labels
        )
        for status in self._statuses():
            named = [status.provider, status.what]
            seconds = status.age()
            age.add_metric(named, float("inf") if seconds is None else seconds)
            failing.add_metric(named, float(bool(status.problem)))
        yield from (age, failing)
