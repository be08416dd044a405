"""The binder's metrics, for Prometheus."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sidecar.binder.config import AccountConfig
from sidecar.binder.job_records import JobRecord, Progress
from sidecar.binder.queue import QueuedJob
from sidecar.binder.rounds import RoundStatus
from sidecar.daemon.metrics import RepeatedCollector

PREFIX = "admissibility_binder"
ATTEMPTS = (*(each.value for each in Progress), "claimed", "fault")
WEBHOOKS = ("taken", "known", "ignored", "refused", "failed")


class BinderMetrics:
    """Counters of attempts and webhooks, and the state of jobs and of rounds.

    Args:
        accounts: Whose jobs are bound.
    """

    def __init__(self, accounts: Iterable[AccountConfig] = ()) -> None:
        self.registry = CollectorRegistry()
        self._attempts = Counter(
            f"{PREFIX}_attempts",
            "Attempts to bind a job, by outcome.",
            ["provider", "outcome"],
            registry=self.registry,
        )
        self._webhooks = Counter(
            f"{PREFIX}_webhooks",
            "Webhooks that arrived, by outcome.",
            ["provider", "outcome"],
            registry=self.registry,
        )
        for account in accounts:  # so that ``increase`` sees the first of each
            for outcome in ATTEMPTS:
                self._attempts.labels(account.provider, outcome)
            for outcome in WEBHOOKS if account.webhook_secrets else ():
                self._webhooks.labels(account.provider, outcome)
        self._progress: dict[QueuedJob, str] = {}
        self.registry.register(_Jobs(self._progress))

    def follow(self, statuses: Callable[[], Sequence[RoundStatus]]) -> None:
        """Show the state of rounds, asked for at each scrape."""
        self.registry.register(
            RepeatedCollector(
                f"{PREFIX}_read",
                ("provider", "what"),
                "Seconds since a round of jobs, deployments or publication succeeded; +Inf before.",
                "1 where the last round of jobs, deployments or publication failed, else 0.",
                statuses,
            )
        )

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
        return generate_latest(self.registry)


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
