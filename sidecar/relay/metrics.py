"""The relay's metrics, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sidecar.daemon.metrics import RepeatedCollector
from sidecar.relay.links import LinkStatus

PREFIX = "admissibility_relay"


class RelayMetrics:
    """Counters of requests, and the state of each link."""

    def __init__(self, statuses: Iterable[LinkStatus]) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            f"{PREFIX}_requests", "Requests answered, by status.", ["code"], registry=self.registry
        )
        self._bytes = Counter(
            f"{PREFIX}_changing_bytes",
            "Bytes of timestamps and listings that were sent.",
            registry=self.registry,
        )
        self.waiting = Gauge(
            f"{PREFIX}_waiting", "Requests that wait for a change.", registry=self.registry
        )
        links = tuple(statuses)
        self.registry.register(
            RepeatedCollector(
                f"{PREFIX}_source",
                ("name", "kind"),
                "Seconds since a source was heard; +Inf where it never was.",
                "1 where a source's last round failed in whole or in part, else 0.",
                lambda: links,
            )
        )
        self.registry.register(_Forwarded(links))

    def answered(self, code: int, size: int) -> None:
        """Count a request."""
        self._requests.labels(str(code)).inc()
        self._bytes.inc(size)

    def render(self) -> bytes:
        """Return the metrics in Prometheus's text format."""
        return generate_latest(self.registry)


class _Forwarded(Collector):
    def __init__(self, statuses: tuple[LinkStatus, ...]) -> None:
        self._statuses = statuses

    def collect(self) -> Iterator[GaugeMetricFamily]:
        labels = ["name", "kind"]
        forwarded = GaugeMetricFamily(
            f"{PREFIX}_source_forwarded",
            "How often something new of a source was forwarded since the start.",
            labels=labels,
        )
        for status in self._statuses:
            forwarded.add_metric(status.labels, status.forwarded)
        yield forwarded
